"""Commands that compute: run, evaluate; and what they have trained, for the official programs: export-checkpoint."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stars_bench import registry
from stars_bench.cli import program
from stars_bench.cli.options import DataDir, RunPath, RunsDir, console, counted, errors, with_options
from stars_bench.display.training_panel import LINE_SECONDS, RunPanel
from stars_bench.errors import StarsBenchError, UsageError

if TYPE_CHECKING:
    from stars_bench.api import Select
    from stars_bench.experiments.request import Compiled, Request
    from stars_bench.records.record import Record


def _known(compiled: str | None) -> str | None:
    if compiled not in COMPILED:
        raise typer.BadParameter(f"{compiled}: must be step, or left out for blocks")
    return compiled


COMPILED: dict[str | None, Compiled] = {None: False, "blocks": True, "step": "step"}
"""What `--compile` may be given, alone it is "blocks", and what it asks for."""


@dataclass(frozen=True)
class RunOptions:
    """The options that `run` and `evaluate` share; each option's help describes it."""

    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="xsub, xview, xset, unseen, oneshot or fewshot; may be repeated: a run each.",
            autocompletion=program.offer_protocols,
        ),
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of a prepared dataset. Default: the only one that has the protocol.",
            autocompletion=program.offer_datasets,
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Cleaning profile of the prepared data. Default: the dataset's own."),
    ] = None
    evaluation: Annotated[
        list[str] | None,
        typer.Option(
            "--eval",
            metavar="NAME",
            help="Evaluation (`stars-bench list evaluations` prints all). all: those of a paper's row. every: all that "
            "apply. Repeatable. Default: knn and linear.",
            autocompletion=program.offer_evaluations,
        ),
    ] = None
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="paper: the published settings. quick: small and short, for a CPU. `stars-bench list presets` "
            "prints all, with their cost.",
        ),
    ] = "paper"
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the method (lr=0.001) or of an evaluation (linear.epochs=50). Repeatable.",
        ),
    ] = None
    seed: Annotated[
        list[int] | None,
        typer.Option(
            min=0, metavar="N", help="Seed. Repeatable: the report prints mean and standard deviation. Default: 0."
        ),
    ] = None
    trained_on: Annotated[
        str | None,
        typer.Option(
            metavar="DATA:PROTOCOL",
            help="What a checkpoint was trained on (ntu60:xsub), if its file does not state it. Checkpoints of "
            "STARS do not.",
        ),
    ] = None
    novel_classes: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Only fewshot: the novel classes, from 1 (3,17,42). They are not used for training. Default: a "
            "random share.",
        ),
    ] = None
    select: Annotated[
        str,
        typer.Option(
            metavar="last|validation|best-on-test",
            help="Epoch to evaluate, where classes are learned. validation: the best on held-out training subjects "
            "(xview: cameras, xset: setups). best-on-test: the best on the test part, as in several papers; marked, "
            "and never ranked.",
        ),
    ] = "last"
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="cpu, cuda or cuda:1. Default: a GPU if there is one.")
    ] = None
    precision: Annotated[str | None, typer.Option(metavar="NAME", help="float32, tf32 (default on a GPU) or bf16.")] = (
        None
    )
    grad_accum: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="K",
            help="Divide each batch into K parts. Needs less memory and more time; the result is the same, to "
            "rounding.",
        ),
    ] = 1
    fit_batch: Annotated[
        bool,
        typer.Option(
            "--fit-batch", help="If memory is not sufficient, double --grad-accum and continue. Only with one process."
        ),
    ] = False
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="On a GPU: the same bits in every run, for more time and memory (not measured). A CPU does not "
            "need it.",
        ),
    ] = False
    compile: Annotated[
        str | None,
        typer.Option(
            "--compile",
            metavar="[step]",
            callback=_known,
            help="Fuse transformer blocks with torch.compile, for GPUs (not measured). Compiling takes minutes; the "
            "result is the same, to rounding. step: also compile all of a step of stage 1 as one graph.",
        ),
    ] = None
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time between two checkpoints.")
    ] = 60.0
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Additional logger: tensorboard or wandb (install the extra of this name), or module:Class. Several: "
            "wandb,tensorboard. WANDB_MODE=offline needs no account. The run continues if a service fails.",
        ),
    ] = None
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="The same as `--log tensorboard`.")] = False
    line_seconds: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="Time between two lines of progress, if the output is not a terminal."
        ),
    ] = LINE_SECONDS
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="Tag of the run, to find it with `stars-bench list runs --tag`. Changes no result. Repeatable.",
        ),
    ] = None
    data_dir: DataDir = Path("data")
    runs_dir: RunsDir = Path("runs")

    def requests(self, method: str) -> list[Request]:
        """Return a request for each protocol; options of the other command keep their defaults."""
        if not self.protocol:
            raise UsageError("--protocol is missing: use --protocol xsub (`stars-bench list protocols` prints all)")
        return [self.request(method, protocol) for protocol in dict.fromkeys(self.protocol)]

    def request(self, method: str, protocol: str) -> Request:
        """Return the request of one method and protocol."""
        from stars_bench.experiments.request import Request, TrainingOptions

        training = {one.name: getattr(self, one.name) for one in fields(TrainingOptions)}
        novel = () if self.novel_classes is None else (f"protocol.novel_classes=[{self.novel_classes}]",)
        return Request(
            method=method,
            protocol=protocol,
            dataset=self.dataset,
            profile=self.profile,
            evaluations=tuple(self.evaluation or ()),
            preset=self.preset,
            overrides=(*(self.overrides or ()), *novel),
            seeds=tuple(dict.fromkeys(self.seed or (0,))),
            trained_on=self.trained_on,
            select=cast("Select", self.select),  # checked with the rest of the request
            training=TrainingOptions(**training | {"compile": COMPILED[self.compile]} | {"log": tuple(self.log or ())}),
            data_dir=self.data_dir,
            runs_dir=self.runs_dir,
            command=shlex.join(["stars-bench", *sys.argv[1:]]),
        )


@with_options(RunOptions)
def run(
    context: typer.Context,
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METHOD...",
            help="One or several methods (`stars-bench list methods` prints all), or package.module:Class.",
            autocompletion=program.offer_methods,
        ),
    ] = None,
    *,
    options: RunOptions,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Repeat a run: take method, data, settings, evaluations and seed from its folder or config.toml. "
            "Other "
            "options replace these values.",
            autocompletion=program.offer_runs,
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Start from the encoder of a run, or of a checkpoint of MAMP or STARS. It must come from the same "
            "method, or from its first stage (mamp).",
            autocompletion=program.offer_runs,
        ),
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="joint (default), bone, motion or bone-motion, computed from the joints. Repeatable: one run for "
            "each, "
            "and a row with the sum of their scores.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="common: MAMP's cleaning, crop and probe for every method, to compare methods. own: data, input and "
            "evaluation of the method's own paper, to compare with its published numbers. For mamp and stars, both are "
            "the same.",
        ),
    ] = "common",
    validation: Annotated[
        str | None,
        typer.Option(metavar="subjects", help="Evaluate on held-out training subjects instead of the test part."),
    ] = None,
) -> None:
    """Train and evaluate methods under protocols. If one of several fails, the others continue.

    After an interruption, run the same command again: it resumes from the last checkpoint, and reuses every stage that
    was finished with the same settings. The last epoch counts, unless you use `--select`. Test labels are read only to
    compute metrics.

    **All evaluations of a paper's row:** `stars-bench run stars --dataset ntu60 --protocol xsub --eval all`

    **Transfer:** `stars-bench run stars --dataset pku2 --protocol xsub --eval finetune --init RUN_FOLDER_ON_NTU60`

    **Several GPUs:** `torchrun --nproc-per-node 4 -m stars_bench run stars --protocol xsub` gives the
    result of one GPU, to rounding.

    **Repeat a run with another seed:** `stars-bench run --config RUN_FOLDER --seed 1`

    **Several methods and protocols:** `stars-bench run untrained mamp stars --protocol xsub --protocol xview`

    **Two streams and their sum:** `stars-bench run stars --protocol xsub --stream joint --stream bone`

    **From published weights:** `stars-bench run stars --protocol xsub --init mamp.pth --trained-on ntu60:xsub`
    """
    streams = dict.fromkeys(stream or ("joint",))
    if config is None:
        if not methods:
            raise UsageError(
                "METHOD is missing: name one (`stars-bench list methods` prints all), or use --config FILE"
            )
        asked = [request for method in methods for request in options.requests(method)]
    else:
        asked = [options.request(m, p) for m in methods or ("",) for p in dict.fromkeys(options.protocol or ("",))]
    own = {"init": init, "recipe": recipe, "validation": validation}
    requests = [replace(request, **own, stream=one) for request in asked for one in streams]  # type: ignore[arg-type]
    if config is not None:
        from stars_bench.experiments.config_file import completed

        given = _given(context)
        requests = [completed(request, config, given) for request in requests]
    _run(*requests, options=options)


def _given(context: typer.Context) -> set[str]:
    """Return what the user has said, by the fields of a request."""
    fields_of = {"evaluation": "evaluations", "seed": "seeds"}
    said = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    return {fields_of.get(name, name) for name in said}


@with_options(RunOptions)
def evaluate(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run (its folder, the folder of a seed, a record, or encoder.pt), or a checkpoint of MAMP or STARS.",
            autocompletion=program.offer_runs,
        ),
    ],
    options: RunOptions,
) -> None:
    """Evaluate an encoder that is already trained, on any dataset with the same joints and under any protocol.

    Without --seed, every seed of the run is evaluated. If the encoder has seen test clips or novel classes, the record
    and the table state how many.

    A checkpoint of MAMP states what it was trained on. For a checkpoint of STARS, use `--trained-on`. Its size is read
    from the file. If the file does not state the number of heads, it is 8 for a width of 256; otherwise use
    `--set heads=N`. `--set frames=N` interpolates the temporal embedding.

    A fine-tuned or linear-probe checkpoint of MAMP can be evaluated with its own classifier (`--eval classifier`).
    """
    from stars_bench.experiments import pretrained

    seeds = tuple(options.seed or pretrained.seeds(checkpoint))
    start = pretrained.find(checkpoint, seeds[0])
    given = {"seeds": seeds, "init": checkpoint, "stream": start.stream or "joint", "recipe": start.recipe}
    method = registry.shipped_name("methods", start.target)
    requests = [replace(request, **given) for request in options.requests(method)]  # type: ignore[arg-type]
    _run(*requests, options=options)


def export_checkpoint(
    run: RunPath,
    format: Annotated[str, typer.Option("--format", metavar="NAME", help="safetensors, mamp or stars.")],
    out: Annotated[Path, typer.Option(metavar="PATH", help="File to write. For safetensors, a folder.")],
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the run to export.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Export the encoder of a run, as safetensors or as a checkpoint that the official programs load.

    **safetensors**: the encoder in the layout of Hugging Face's hub, OUT/DATASET-PROTOCOL: config.json,
    model.safetensors, a model card. `--init`, `evaluate` and `load_encoder` accept the folder.

    **mamp**: stage 1 (encoder and decoder) of a mamp or stars run.

    **stars**: stage 2 (encoder, head and queue) of a stars run.
    """
    from stars_bench.experiments.sharing import checkpoint_export

    if format == "safetensors":
        folder = checkpoint_export.to_safetensors(run, out, seed, overwrite=force)
        console.print(f"{folder}: config.json, model.safetensors, README.md", soft_wrap=True)
        return
    tensors = checkpoint_export.to_program(run, format, out, seed, overwrite=force)
    console.print(f"{out}: {tensors} tensors", soft_wrap=True)


def _starts(requests: Sequence[Request]) -> str:
    """Name all that is about to be run by methods, protocols and seeds."""
    methods, protocols = ({getattr(one, name): None for one in requests} for name in ("method", "protocol"))
    seeds = {seed: None for one in requests for seed in one.seeds}
    return f"{', '.join(methods)} {', '.join(protocols)} seed {', '.join(map(str, seeds))}"


def _run(*requests: Request, options: RunOptions) -> None:
    console.print(f"{_starts(requests)}: starts (loads PyTorch and the data)", markup=False, soft_wrap=True)
    from stars_bench.experiments import run_many, runner
    from stars_bench.experiments.plan import resolve
    from stars_bench.experiments.seed_run import EvaluationsFailed
    from stars_bench.io.files import utc_now
    from stars_bench.records import notes
    from stars_bench.records.store import located
    from stars_bench.report import terminal
    from stars_bench.report.leaderboard import Leaderboard
    from stars_bench.training import memory
    from stars_bench.training.parallel import distributed

    def tell(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    def run_one(request: Request) -> list[Record]:
        title = " ".join(filter(None, (request.method, "·", request.dataset, request.protocol)))
        with RunPanel(console, title, memory.peak, options.line_seconds) as panel:
            found = runner.run(request, panel, tell, cost=True)
        if options.tag and distributed.is_first():
            notes.add(resolve(request).folder(request.seeds[0]), options.tag)
        return found

    def failed(failure: run_many.Failure) -> None:
        errors.print(f"{failure.run} failed: {failure.reason}", markup=False, soft_wrap=True)
        if "--debug" in sys.argv:
            errors.print_exception()

    notes.check_tags(options.tag or ())
    started, began = time.monotonic(), utc_now()
    failures: list[run_many.Failure] = []
    wrong: EvaluationsFailed | None = None
    if len(requests) == 1 or distributed.launched():
        # Of several processes one may fail where the others do not know of it: none begins the next run.
        try:
            records = [record for request in requests for record in run_one(request)]
        except EvaluationsFailed as error:
            records, wrong = list(error.records), error
    else:
        records, failures = run_many.run_each(requests, resolve, run_one, failed)
    if distributed.is_first():
        lost = {failure.request for failure in failures}
        records += run_many.fuse_streams([one for one in requests if one not in lost], tell)
    if records:
        stored = located(records, requests[0].runs_dir)
        console.print(terminal.render(Leaderboard.of(stored).tables, console.width))
    console.print(
        f"{counted(records, requests[0].runs_dir, began)}  ({time.monotonic() - started:.1f} s)", soft_wrap=True
    )
    if wrong is not None:
        raise wrong
    if failures:
        raise StarsBenchError(run_many.summary(failures, len(requests)))
