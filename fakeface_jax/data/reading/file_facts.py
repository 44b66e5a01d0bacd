"""What a picture's file says by itself: how it was saved, by what, and what it claims of its origin.

None of it is proof. Metadata can be written by anybody and are taken off by most sites; a camera's name does not make a
picture genuine, nor an editing program's a fake. Nothing here goes to the network, and where a picture was taken is
never shown, only that the file holds a place.
"""

import functools
import hashlib
import importlib.util
import io
import os
import re
from typing import Any

import numpy as np

from fakeface_jax.data.reading.images import open_image, read_bytes
from fakeface_jax.data.reading.jpeg_history import PERHAPS, YES, quality_of, saved_before
from fakeface_jax.errors import UserError
from fakeface_jax.paths import user_path

LONGEST = 120  # characters of a text out of a file that are shown
SEARCHED = 4_000_000  # bytes at either end of a file in which XMP and Content Credentials are looked for
_MAKE, _MODEL, _SOFTWARE, _DATE, _EXIF, _GPS, _TAKEN, _COMMENT, _TURN = (
    271, 272, 305, 306, 0x8769, 0x8825, 36867, 37510, 274)  # tags of EXIF 2.32
_XMP = re.compile(rb"<x:xmpmeta.*?</x:xmpmeta>", re.DOTALL)
_SOURCE_TYPE = re.compile(rb"digitalsourcetype/(\w{1,60})")
_TOOL = re.compile(rb"CreatorTool(?:=[\"']|>)([^\"'<]{1,200})")
_CREDIT = re.compile(rb"photoshop:Credit(?:=[\"']|>)([^\"'<]{1,200})")
SOURCE_TYPES = {  # of the IPTC's vocabulary, https://cv.iptc.org/newscodes/digitalsourcetype
    "trainedAlgorithmicMedia": "was made by generative AI",
    "compositeWithTrainedAlgorithmicMedia": "was put together with parts made by generative AI",
    "compositeSynthetic": "was put together with synthetic parts",
    "algorithmicMedia": "was made by a program",
    "algorithmicallyEnhanced": "was enhanced by a program",
    "dataDrivenMedia": "was drawn from data",
    "virtualRecording": "is a recording of a virtual scene",
    "digitalCapture": "is a digital photograph", "computationalCapture": "is a photograph computed from several",
    "humanEdits": "was edited by a person", "minorHumanEdits": "was slightly edited by a person",
    "composite": "was put together of several pictures", "compositeCapture": "was put together of several photographs"}
GENERATORS = (  # (what it points to, name of the text that holds it or '', what that has to match)
    ("Stable Diffusion", "parameters", r"Steps: \d+"), ("Stable Diffusion", "UserComment", r"Steps: \d+"),
    ("ComfyUI", "workflow", r"\{"), ("ComfyUI", "prompt", r"\{.*class_type"), ("InvokeAI", "invokeai_metadata", r"\{"),
    ("InvokeAI", "sd-metadata", r"\{"), ("InvokeAI", "Dream", r"\S"), ("Fooocus", "fooocus_scheme", r"\S"),
    *((name, "", rf"(?i)\b{name.replace(' ', '.?')}\b") for name in (
        "Midjourney", "DALL-E", "NovelAI", "Stable Diffusion", "ComfyUI", "InvokeAI", "Fooocus", "Adobe Firefly",
        "Made with Google AI", "Imagen", "Leonardo.Ai", "Bing Image Creator", "GPT-4o")))
INSTALL_C2PA = "pip install c2pa-python"


def file_facts(path_or_bytes: str | os.PathLike | bytes) -> dict[str, Any]:
  """What a file says of itself, ready for JSON.

  Args: `path_or_bytes`: the file, or what is in it.
  Returns: {"bytes", "sha256", "format", "width", "height" (as it is shown, in pixels), "mode" (Pillow's), "problem":
    why it cannot be opened, "camera", "software", "date", "position": whether it holds where it was taken,
    "source_type": what it declares itself to be, of SOURCE_TYPES, "generators": [{"name", "where", "text"}],
    "jpeg": {"quality", "saved_before": 'yes', 'perhaps' or '', "earlier_quality"}, "credentials": {"found",
    "installed", "state", "by", "problem"}}. What is not there, or is broken, is None.
  Raises: UserError where the file cannot be read at all; whatever is wrong with its content, never.
  """
  data = path_or_bytes if isinstance(path_or_bytes, bytes) else read_bytes(user_path(path_or_bytes))
  name = "the file" if isinstance(path_or_bytes, bytes) else os.fspath(path_or_bytes)
  facts: dict[str, Any] = dict.fromkeys(("format", "width", "height", "mode", "problem", "camera", "software", "date"))
  facts |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "position": False, "jpeg": None}
  texts = {}
  try:
    image = open_image(data, str(name))
  except UserError as error:
    facts["problem"] = str(error).removeprefix(f"{name}: ")
  else:
    facts |= {"format": image.format, "mode": image.mode, "width": image.width, "height": image.height}
    exif, own = _exif(image)
    if exif.get(_TURN) in (5, 6, 7, 8):
      facts |= {"width": image.height, "height": image.width}
    make, model = _text(exif.get(_MAKE)), _text(exif.get(_MODEL))
    named = make and model and model.startswith(make)  # "Canon", "Canon EOS R5"
    facts["camera"] = model if named else " ".join(filter(None, (make, model))) or None
    facts |= {"software": _text(exif.get(_SOFTWARE) or image.info.get("Software")),
              "date": _text(own.get(_TAKEN)) or _text(exif.get(_DATE)), "position": bool(exif.get(_GPS)),
              "jpeg": _jpeg(image, data)}
    texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    texts |= {"Software": facts["software"] or "", "UserComment": _comment(own.get(_COMMENT)) or ""}
  ends = data[:SEARCHED] + data[max(SEARCHED, len(data) - SEARCHED) :]
  xmp = b"".join(_XMP.findall(ends))
  tool, credit, source = (found[1] if (found := pattern.search(xmp)) else b"" for pattern in (
      _TOOL, _CREDIT, _SOURCE_TYPE))
  facts["software"] = facts["software"] or _text(tool)
  facts["source_type"] = _text(source)
  facts["generators"] = _generators(texts | {"CreatorTool": _text(tool) or "", "Credit": _text(credit) or ""})
  facts["credentials"] = _credentials(data, ends)
  return facts


def _exif(image):
  """(tags of the picture, tags of how it was taken), {number: value}; none where they are broken."""
  try:
    exif = image.getexif()
    return {**exif, _GPS: exif.get_ifd(_GPS)}, dict(exif.get_ifd(_EXIF))
  except Exception:  # as `images._orientation`: Pillow raises nearly anything on broken EXIF
    return {}, {}


def _text(value):
  """A text out of a file in one short line without control characters; None where there is none."""
  if isinstance(value, bytes):
    value = value.decode("utf-8", "replace")
  if not isinstance(value, str):
    return None
  value = " ".join("".join(letter if letter.isprintable() else " " for letter in value[:10_000]).split())
  return (value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…") or None


def _comment(value):
  """EXIF's UserComment, whose first eight bytes say its encoding."""
  if not isinstance(value, bytes):
    return value if isinstance(value, str) else None
  if value.startswith(b"UNICODE\0"):
    return value[8:].decode("utf-16-be" if value[8:9] == b"\0" else "utf-16-le", "replace")
  return value[8:].decode("utf-8", "replace")


def _generators(texts):
  """[{"name", "where", "text"}] of generators that the texts of a file point to, each once."""
  found = {}
  for generator, key, pattern in GENERATORS:
    for where, text in texts.items():
      if (where == key or not key) and re.search(pattern, text[:100_000], re.DOTALL):
        found.setdefault(generator, {"name": generator, "where": _text(where), "text": _text(text)})
  return list(found.values())


def _jpeg(image, data):
  tables = getattr(image, "quantization", None)
  if not tables or not hasattr(image, "applist"):
    return None
  before, earlier = saved_before(data, np.array(tables[min(tables)]).reshape(8, 8))
  return {"quality": quality_of(tables), "saved_before": before, "earlier_quality": earlier}


@functools.cache
def _c2pa():
  """The package, kept from the network; None where it is not installed."""
  if importlib.util.find_spec("c2pa") is None:
    return None
  import c2pa

  return c2pa


def _credentials(data, ends):
  """What the Content Credentials (C2PA) of a file say, as far as they can be checked on this machine."""
  found = b"jumb" in ends and b"c2pa" in ends
  c2pa = _c2pa()
  result: dict = {"found": found, "installed": c2pa is not None, "state": None, "by": None, "problem": None}
  if not found or c2pa is None:
    return result
  try:
    offline = c2pa.Context(c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}))
    with c2pa.Reader(None, io.BytesIO(data), context=offline) as reader:
      manifest = reader.get_active_manifest() or {}
      claimed = manifest.get("claim_generator_info") or [{}]
      signer = (manifest.get("signature_info") or {}).get("issuer")
      result |= {"state": _text(str(reader.get_validation_state())), "by": _text(signer),
                 "software": _text(claimed[0].get("name")), "source_type": _declared(manifest)}
  except Exception as error:  # the package raises what its Rust library says, as one type or another
    result["problem"] = _text(str(error)) or type(error).__name__
  return result


def _declared(manifest):
  """The digital source type in a manifest's actions, or None."""
  found = _SOURCE_TYPE.search(repr(manifest.get("assertions") or "").encode())
  return _text(found[1]) if found else None


def in_words(facts: dict[str, Any]) -> list[str]:
  """What `file_facts` found as short sentences, for people who know nothing of files."""
  lines = []
  if facts["problem"]:
    lines.append(f"The picture in this file cannot be looked at: {facts['problem']}.")
  else:
    lines.append(f"A {facts['format']} file of {facts['width']:,} by {facts['height']:,} pixels and"
                 f" {_size(facts['bytes'])}.")
  lines += [sentence for key, sentence in (
      ("camera", "It says that it was taken with: {}."), ("software", "It says that it was written by: {}."),
      ("date", "The date in it: {}.")) if facts[key] for sentence in [sentence.format(facts[key])]]
  if facts["position"]:
    lines.append("It holds where it was taken (not shown here); take that off before you pass it on.")
  if not any(facts[key] for key in ("camera", "software", "date")) and not facts["problem"]:
    lines.append("It names no camera, program or date; most sites and messengers take these off.")
  if facts["source_type"]:
    lines.append(f"It declares that it {_kind(facts['source_type'])}.")
  lines += [f"A text in it points to a generator of pictures: {one['name']} (in {one['where']!r})."
            for one in facts["generators"]]
  lines += _jpeg_in_words(facts["jpeg"]) if facts["jpeg"] else []
  lines += _credentials_in_words(facts["credentials"])
  return [*lines, f"Its SHA-256, by which the very same file is known again: {facts['sha256']}."]


def _size(count):
  return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB" if count >= 1e3 else f"{count} bytes"


def _jpeg_in_words(jpeg):
  quality = f"of quality {jpeg['quality']} (of 100)" if jpeg["quality"] else "by other tables than the standard ones"
  lines = [f"It was saved as a JPEG {quality}."]
  earlier = f" of about quality {jpeg['earlier_quality']}" if jpeg["earlier_quality"] else ""
  if jpeg["saved_before"] == YES:
    lines.append(f"It had been a JPEG{earlier} before: it was opened and saved again, as editing and many sites do.")
  elif jpeg["saved_before"] == PERHAPS:
    lines.append(f"Perhaps it had been a JPEG{earlier} before, or it is a drawing; that is not sure.")
  return lines


def _credentials_in_words(found):
  if not found["installed"]:
    there = "It carries Content Credentials, a signed account of its origin" if found["found"] else (
        "Content Credentials, a signed account of its origin: none were seen")
    return [f"{there}; nobody checked them, as c2pa-python is not installed ({INSTALL_C2PA})."]
  if not found["found"]:
    return ["It carries no Content Credentials (a signed account of its origin), as most pictures do not."]
  if found["problem"]:
    return [f"It carries Content Credentials that cannot be read: {found['problem']}."]
  state = {
      "Trusted": "are whole, and signed by somebody on the list of trusted signers",
      "Valid": "are whole and fit the file, but nobody here vouches for who signed them"}.get(
          found["state"], "do NOT fit the file or are damaged: it was changed after it was signed, or they were forged")
  parts = [f"Its Content Credentials {state}."]
  parts += [f"They name {found['by']} as the signer."] if found["by"] else []
  parts += [f"They name {found['software']} as what made it."] if found.get("software") else []
  return parts + ([f"They declare that it {_kind(found['source_type'])}."] if found.get("source_type") else [])


def _kind(source_type):
  return SOURCE_TYPES.get(source_type, f"is of the kind {source_type}")
