"""Fine-tunes a detector of fake faces.

python scripts/train.py --config configs/resnet.py [--config.FIELD=VALUE ...] [--workdir runs/NAME]
"""

from fakeface_jax.commands import app  # isort: split

from pathlib import Path

from fakeface_jax.commands.app import flags

CONFIG = app.define_config("configs/resnet.py")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run (default: runs/NAME_OF_THE_CONFIG_FILE).")
MULTI_PROCESS = flags.DEFINE_bool("multi_process", False, "This is one of several processes (TPU pods, Slurm).")
COORDINATOR = flags.DEFINE_string("coordinator_address", None, "Several processes by hand: host:port of process 0.")
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Several processes by hand: how many.")
PROCESS_ID = flags.DEFINE_integer("process_id", None, "Several processes by hand: which of them this is.")


def main(arguments):
  app.no_positional(arguments)
  import jax

  from fakeface_jax.commands.batch_size import fit_batch_size
  from fakeface_jax.commands.command_line import in_flags
  from fakeface_jax.commands.train import report_run
  from fakeface_jax.data.checking.overlap import in_words
  from fakeface_jax.devices import check_platform
  from fakeface_jax.evaluation.scores import table
  from fakeface_jax.training.fine_tuning import train
  from fakeface_jax.training.processes import ending_together
  from fakeface_jax.verdict.conformal import in_words as sure_in_words

  if MULTI_PROCESS.value or COORDINATOR.value:
    jax.distributed.initialize(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
  check_platform()
  workdir = WORKDIR.value or str(Path("runs") / Path(app.config_file()).stem)
  with ending_together(in_flags):
    fit_batch_size(CONFIG.value, workdir, 2 if CONFIG.value.data.get("pairs") else 1)
    scores, unreadable = train(CONFIG.value, workdir)
  if jax.process_index() == 0:
    print(table(scores))
    if sentence := in_words(scores.get("seen_in_training")):
      print(sentence)
    print(sure_in_words(report_run(workdir)))
  return app.exit_code(unreadable)


if __name__ == "__main__":
  app.run(main, lists=["Data sets"])
