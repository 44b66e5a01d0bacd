"""What files say of themselves, and that no file makes the program stumble."""

import datetime
import hashlib
import io
import json
import random

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from skimage.data import astronaut

from fakeface_jax.data.reading import file_facts as module
from fakeface_jax.data.reading.file_facts import file_facts, in_words
from fakeface_jax.data.reading.images import decode_image, encode_image
from fakeface_jax.data.reading.jpeg_history import quality_of, standard_tables
from fakeface_jax.errors import UserError

PHOTOGRAPH = astronaut()[:301, 100:500]


def exif(place=True):
  """Bytes as a telephone writes them."""
  tags = Image.Exif()
  tags[271], tags[272], tags[305], tags[274] = "Canon", "Canon EOS R5", "Photos 3.0\x1b[31m\n", 6
  tags.get_ifd(0x8769)[36867] = "2024:03:09 10:11:12"
  if place:
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.6), 3: "E", 4: (2.0, 17.0, 40.2)})
  return tags.tobytes()


def jpeg(pixels=PHOTOGRAPH, quality=90, **options):
  return encode_image(pixels, "JPEG", quality=quality, **options)


def test_a_photograph_says_who_took_it_when_and_how_it_was_saved_and_never_where():
  data = jpeg(exif=exif())
  facts = file_facts(data)
  expected = {
      "format": "JPEG", "width": 301, "height": 400, "mode": "RGB", "camera": "Canon EOS R5",  # lies on its side
      "software": "Photos 3.0 [31m", "date": "2024:03:09 10:11:12", "position": True}
  assert facts | expected == facts
  assert facts["bytes"] == len(data) and facts["sha256"] == hashlib.sha256(data).hexdigest()
  assert facts["jpeg"] == {"quality": 90, "saved_before": "", "earlier_quality": None}
  text = json.dumps(facts) + "".join(in_words(facts))
  assert "48" not in text.replace(facts["sha256"], "") and "29.6" not in text
  assert "It holds where it was taken (not shown here)" in text
  assert file_facts(jpeg(exif=exif(place=False)))["position"] is False


@pytest.mark.parametrize("quality", [1, 10, 24, 50, 75, 87, 100])
def test_the_quality_is_read_off_the_standard_tables(quality):
  assert file_facts(jpeg(quality=quality))["jpeg"]["quality"] == quality
  assert file_facts(jpeg(PHOTOGRAPH[..., 0], quality=quality))["jpeg"]["quality"] == quality


def test_other_tables_are_said_to_be_others():
  tables = [[int(value) for value in table.ravel()] for table in standard_tables()[80]]
  tables[0][5] += 1
  facts = file_facts(encode_image(PHOTOGRAPH, "JPEG", qtables=tables))
  assert facts["jpeg"]["quality"] is None and quality_of(dict(enumerate(tables))) is None
  assert any("by other tables than the standard ones" in line for line in in_words(facts))


@pytest.mark.parametrize(("first", "second", "said"), [
    (75, 90, ("yes", 75)), (60, 75, ("yes", 60)), (90, 95, ("yes", 90)), (50, 98, ("yes", 50)),
    (75, 75, ("", None)), (90, 75, ("", None)), (95, 90, ("", None)), (None, 50, ("", None)), (None, 75, ("", None)),
    (None, 90, ("", None)), (None, 95, ("", None)), (None, 100, ("", None))])
def test_a_second_saving_is_seen_where_it_was_of_higher_quality_and_nothing_said_else(first, second, said):
  for pixels in (PHOTOGRAPH, PHOTOGRAPH[..., 1]):
    pixels = pixels if first is None else decode_image(jpeg(pixels, first), "x")
    found = file_facts(jpeg(pixels, second))["jpeg"]
    assert (found["saved_before"], found["earlier_quality"]) == said


def test_of_a_picture_cut_off_its_grid_resized_or_too_small_nothing_is_said():
  saved = decode_image(jpeg(quality=75), "x")
  halved = np.asarray(Image.fromarray(saved).resize((200, 150), Image.Resampling.BILINEAR))
  for pixels in (saved[3:, 5:], halved, saved[:64, :64], np.full((300, 300, 3), 200, np.uint8)):
    assert file_facts(jpeg(pixels, 90))["jpeg"]["saved_before"] == ""
  assert file_facts(jpeg(saved[8:, 16:], 90))["jpeg"]["saved_before"] == "yes"


def png(**texts):
  info = PngImagePlugin.PngInfo()
  for key, text in texts.items():
    info.add_text(key, text)
  return encode_image(PHOTOGRAPH, "PNG", pnginfo=info)


XMP = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:CreatorTool="Adobe Firefly 2" '
       b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
       b"</rdf:RDF></x:xmpmeta>")


def test_texts_of_generators_are_named_with_where_they_stand():
  by_name = lambda data: {one["name"]: one["where"] for one in file_facts(data)["generators"]}
  assert by_name(png(parameters="a face\nSteps: 20, Sampler: Euler a")) == {"Stable Diffusion": "parameters"}
  assert by_name(png(prompt='{"3": {"class_type": "KSampler"}}', workflow="{}")) == {"ComfyUI": "workflow"}
  assert by_name(png(Software="NovelAI")) == {"NovelAI": "Software"}
  assert by_name(png(Title="A walk", parameters="of the camera")) == {}
  tags = Image.Exif()
  tags.get_ifd(0x8769)[37510] = b"UNICODE\0" + "a face\nSteps: 20, Sampler: Euler".encode("utf-16-be")
  assert by_name(jpeg(exif=tags.tobytes())) == {"Stable Diffusion": "UserComment"}
  facts = file_facts(jpeg(xmp=XMP))
  assert facts["source_type"] == "trainedAlgorithmicMedia" and facts["software"] == "Adobe Firefly 2"
  assert [one["name"] for one in facts["generators"]] == ["Adobe Firefly"]
  assert "It declares that it was made by generative AI." in in_words(facts)


@pytest.mark.parametrize("data", [
    b"", b"not a picture", jpeg()[:300], jpeg(exif=exif())[:2000], png(parameters="x")[:40],
    jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), jpeg(exif=b"Exif\0\0" + bytes(65_000)),
    jpeg(exif=exif()[:60]), png(Comment="x" * 3_000_000), encode_image(PHOTOGRAPH, "GIF"),
    encode_image(PHOTOGRAPH, "TIFF"), encode_image(PHOTOGRAPH, "WEBP"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"])
def test_no_file_makes_it_stumble(data):
  facts = file_facts(data)
  assert facts["bytes"] == len(data) and all(line and "\n" not in line for line in in_words(facts))
  json.dumps(facts, allow_nan=False)


def test_nor_does_a_file_with_random_damage():
  whole = jpeg(exif=exif(), xmp=XMP)
  for seed in range(60):
    dice, data = random.Random(seed), bytearray(whole)
    for _ in range(10):
      data[dice.randrange(len(data) if seed % 2 else 700)] = dice.randrange(256)
    facts = file_facts(bytes(data))
    json.dumps([facts, in_words(facts)])


def test_a_file_is_named_by_its_path_and_one_that_is_not_there_is_an_error(tmp_path):
  (tmp_path / "a.jpg").write_bytes(jpeg())
  assert file_facts(tmp_path / "a.jpg") == file_facts(jpeg())
  with pytest.raises(UserError, match=r"b\.jpg: no such file; check the path"):
    file_facts(tmp_path / "b.jpg")


def test_without_the_package_content_credentials_are_said_to_be_unchecked(monkeypatch):
  monkeypatch.setattr(module, "_c2pa", lambda: None)
  assert in_words(file_facts(jpeg()))[-2] == (
      "Content Credentials, a signed account of its origin: none were seen; nobody checked them, as c2pa-python is not"
      " installed (pip install c2pa-python).")
  signed = file_facts(jpeg() + b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa")
  assert signed["credentials"]["found"] and in_words(signed)[-2].startswith("It carries Content Credentials, a signed")


def signed_photograph():
  """A JPEG with Content Credentials that a certificate of our own making signed; skips without what that takes."""
  c2pa = pytest.importorskip("c2pa")
  x509 = pytest.importorskip("cryptography.x509")
  from cryptography.hazmat.primitives import hashes, serialization
  from cryptography.hazmat.primitives.asymmetric import ec

  authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

  def certificate(name, key, is_authority):
    named = lambda text: x509.Name([x509.NameAttribute(oid, text) for oid in (
        x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)])
    day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(named("Our authority"), named(name), key.public_key(), 7, now - day, now + day)
    usage = x509.KeyUsage(True, False, False, False, False, is_authority, is_authority, False, False)
    for extension, critical in (
        (x509.BasicConstraints(is_authority, None), True), (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False),
        (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)):
      builder = builder.add_extension(extension, critical)
    return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

  chain = certificate("Our signer", signer, False) + certificate("Our authority", authority, True)
  key = signer.private_bytes(
      serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
  source_type = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
  manifest = {
      "claim_generator_info": [{"name": "our program", "version": "1"}], "format": "image/jpeg", "assertions": [{
          "label": "c2pa.actions.v2",
          "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": source_type}]}}]}
  out = io.BytesIO()
  with c2pa.Builder(json.dumps(manifest)) as builder:
    builder.sign(c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None)), "image/jpeg",
                 io.BytesIO(jpeg()), out)
  return out.getvalue()


def test_content_credentials_are_checked():
  data = signed_photograph()
  facts = file_facts(data)
  assert facts["credentials"] == {
      "found": True, "installed": True, "state": "Valid", "by": "Our signer", "problem": None,
      "software": "our program", "source_type": "trainedAlgorithmicMedia"}
  changed = data[:-2000] + bytes([data[-2000] ^ 1]) + data[-1999:]
  lines = in_words(file_facts(changed))
  assert any("do NOT fit the file or are damaged" in line for line in lines)
