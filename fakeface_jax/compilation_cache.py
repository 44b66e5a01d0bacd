"""What XLA compiled is kept from one command to the next; an entry that turns out to be damaged is removed."""

import re
import sys
import warnings
from pathlib import Path

_DAMAGED = re.compile(r"Error reading persistent compilation cache entry for '([^']+)'")

_calls = None


def calls_folder():
  """Where `kept_calls` keeps whole calls; None before `use_compilation_cache`."""
  return _calls


def use_compilation_cache(folder):
  """Lets JAX keep what it compiles in a folder, and use what it kept there; and us whole calls below it."""
  import jax  # here, because a mistyped flag should not have to wait for it

  global _calls
  _calls = None if "://" in str(folder) else Path(folder) / "calls"  # JAX can write to a bucket, too
  jax.config.update("jax_compilation_cache_dir", str(folder))
  shown = warnings.showwarning

  def show(message, *rest, **more):
    """JAX warns of a damaged entry, compiles again, and would leave the entry as it is, for the next command too."""
    damaged = _DAMAGED.match(str(message))
    if not damaged:
      shown(message, *rest, **more)
      return
    for entry in Path(folder).glob(f"{damaged[1]}-*"):  # its key is not told, but begins like that
      entry.unlink(missing_ok=True)
    print(f"damaged entries of the compilation cache were removed ({folder}/{damaged[1]}-*): compiling again",
          file=sys.stderr)

  warnings.showwarning = show
