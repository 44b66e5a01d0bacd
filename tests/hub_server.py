"""A local stand-in for the Hugging Face hub."""

import contextlib
import http.server
import threading

import huggingface_hub.constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextlib.contextmanager
def serve_hub(answer, cache, monkeypatch):
  """Serves at a free port, as the only hub that `huggingface_hub` knows, with an empty cache.

  Args:
    answer: (command, path) -> (status, the hub's error code or '', headers, bytes).
    cache: folder of what is downloaded.
  """
  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      status, code, headers, content = answer(self.command, self.path)
      self.send_response(status)
      headers = headers | {"Content-Length": len(content)} | ({"X-Error-Code": code} if code else {})
      for header, value in headers.items():
        self.send_header(header, str(value))
      self.end_headers()
      if self.command == "GET":
        self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
      pass

  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
  threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
  move_hub(monkeypatch, server.server_port)
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
  try:
    yield
  finally:
    server.shutdown()
    server.server_close()


def move_hub(monkeypatch, port):
  """What HF_ENDPOINT sets; it is read at import."""
  endpoint = f"http://127.0.0.1:{port}"
  monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
  template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
  monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
