"""The page itself: what stands where, and what happens when something is chosen (gradio).

Nothing leaves the machine: no analytics, no share link unless asked for, no fonts from elsewhere; and a header forbids
the browser to ask any other host for anything.
"""

import os
import tempfile
from pathlib import Path

from fakeface_jax.errors import UserError
from fakeface_jax.explain.methods import CHANNELS, METHODS
from fakeface_jax.page import words
from fakeface_jax.page.report import write_files

MAX_BYTES = "50mb"  # of an upload
KEPT_SECONDS = 600  # that an upload, and what was made of it, is kept
SESSIONS = 200  # whose answers are kept at most, two megabytes each
AT_ONCE = 2  # photographs in work; more wait in a queue
POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
          " img-src 'self' data: blob:; connect-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:")
STRENGTH = "strength => { document.documentElement.style.setProperty('--ff-strength', strength / 100) }"


def import_gradio():
  """The package, told to keep to itself. Raises: UserError where it is not installed."""
  os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
  try:
    import gradio
  except ImportError:
    raise UserError("the page needs gradio: pip install '.[page]'") from None
  return gradio


class KeptToItself:
  """Adds POLICY to every answer of the server (ASGI)."""

  def __init__(self, app):
    self._app = app

  async def __call__(self, scope, receive, send):
    async def send_with_policy(message):
      if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
      await send(message)

    await self._app(scope, receive, send_with_policy if scope["type"] == "http" else send)


def make_page(answers, title):
  """The page, as `gradio.Blocks`.

  Args: `answers`: an `Answers`. title: what detector this is, for people.
  """
  gr = import_gradio()

  def look(path, method, layer, mode="auto"):
    nothing = {
        state: None, faces: gr.Radio(visible=False), whole: gr.Button(visible=False), results: gr.Column(visible=False),
        about_file: gr.Accordion(visible=False), verdict: words.sentence(words.WELCOME), view: "",
        **{button: gr.DownloadButton(interactive=False) for button in downloads}}
    if path is None:
      return nothing
    try:
      answer = answers.look(path, mode)
    except UserError as error:
      return nothing | {verdict: words.sentence(str(error))}
    told = nothing | {
        state: answer, facts: words.facts(answer), about_file: gr.Accordion(visible=True),
        view: words.view(answer, None, None, "The photograph; no face was found in it")}
    if not answer.looks:
      return told | {verdict: words.sentence(words.NO_FACE), whole: gr.Button(visible=True)}
    return told | {
        faces: gr.Radio(choices=words.choices(answer), value=0, visible=len(answer.looks) > 1),
        results: gr.Column(visible=True)} | choose_face(answer, 0, method, layer)

  def look_whole(path, method, layer):
    return look(path, method, layer, mode="none")

  def choose_face(answer, number, method, layer):
    if answer is None:
      return {verdict: words.sentence(words.GONE)}
    look = answer.looks[number]
    return {verdict: words.card(look.judgement), near: words.neighbours(look.judgement),
            **choose_map(answer, number, method, layer)}

  def choose_map(answer, number, method, layer):
    if answer is None:
      return {verdict: words.sentence(words.GONE)}
    layers = answers.layers(method)
    layer = layer if layer in layers else answers.first_layer(method)
    try:
      picture, name = answers.map(answer, number, method, layer)
    except UserError as error:
      gr.Warning(str(error))
      return {view: words.view(answer, number, None, "The photograph, without a map")}
    alternative = f"The photograph, and over face {number + 1} {name}: coloured is what speaks for fake"
    return {view: words.view(answer, number, picture, alternative),
            layers_of: gr.Dropdown(choices=list(layers), value=layer, visible=bool(layers))}

  def take_along(answer, number):
    if answer is None or not answer.looks:
      return [gr.DownloadButton(value=None, interactive=False)] * len(downloads)
    folder = Path(tempfile.mkdtemp(dir=page.GRADIO_CACHE))
    return [gr.DownloadButton(value=str(path), interactive=True)
            for path in write_files(answers, answer, number, folder)]

  with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(60, KEPT_SECONDS)) as page:
    state = gr.State(None, time_to_live=KEPT_SECONDS)
    gr.HTML(words.heading(title))
    with gr.Row():
      with gr.Column():
        photograph = gr.Image(
            label="Photograph: drop, paste or choose a file", type="filepath", image_mode=None, height=280,
            sources=["upload", "clipboard"], buttons=[])
        photograph.preprocess = lambda given: given and given.path  # gradio would decode it, and fail without a word
        verdict = gr.HTML(words.sentence(words.WELCOME))
        whole = gr.Button(words.WHOLE, visible=False)
        faces = gr.Radio([], label="Faces in this photograph", visible=False)
      with gr.Column():
        view = gr.HTML()
        with gr.Column(visible=False) as results:
          strength = gr.Slider(0, 100, 80, step=5, label="Strength of the map, percent")
          method = gr.Dropdown(
              [(one.title, name) for name, one in METHODS.items() if one.kind != CHANNELS], label="Method",
              value=answers.best[0])
          layers_of = gr.Dropdown([], label="Layer", visible=False)
          with gr.Row():
            downloads = [gr.DownloadButton(label, interactive=False, size="sm") for label in words.DOWNLOADS]
          with gr.Accordion("Most alike among the training images"):
            near = gr.HTML()
        with gr.Accordion("What the file says of itself", visible=False) as about_file:
          facts = gr.HTML()
    queued = {"concurrency_id": "network", "concurrency_limit": AT_ONCE, "api_visibility": "private"}
    of_map = [state, faces, method, layers_of]
    shown = [verdict, near, view, layers_of]
    everything = [state, faces, whole, results, about_file, facts, *shown, *downloads]
    answered = [
        photograph.change(look, [photograph, method, layers_of], everything, **queued),
        whole.click(look_whole, [photograph, method, layers_of], everything, **queued),
        faces.input(choose_face, of_map, shown, **queued)]
    for event in answered:
      event.then(take_along, [state, faces], downloads, show_progress="hidden", **queued)
    for choice in (method, layers_of):
      choice.input(choose_map, of_map, [verdict, view, layers_of], **queued)
    strength.change(None, strength, js=STRENGTH, api_visibility="private")
  return page


def launch(page, *, port=None, share=False, inline=None):
  """Starts the page's server, and returns its address; it runs until `page.close()`, or the process ends.

  Args: `port`: None for the first that is free from 7860 on. share: whether gradio may make a public link to it.
  Raises: UserError where the port is in use.
  """
  gr = import_gradio()
  from starlette.middleware import Middleware

  try:
    _, address, public = page.launch(
        server_port=port, share=share, inline=inline, quiet=True, prevent_thread_lock=True, max_file_size=MAX_BYTES,
        state_session_capacity=SESSIONS,
        ssr_mode=False, enable_monitoring=False, footer_links=[], css=words.STYLE,
        app_kwargs={"middleware": [Middleware(KeptToItself)]},
        theme=gr.themes.Default(font="system-ui", font_mono="monospace"))
  except OSError:
    raise UserError(f"port={port} is in use; choose another, or leave it out for one that is free") from None
  return public or address
