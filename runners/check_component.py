"""Checks a plug-in against what the suite demands of its kind, in words.

python runners/check_component.py package.module:Class [PARAMETER=VALUE ...] [--data DIR]

It may be a method, a data set, a noise model or a network; one of the suite's own is named by kind,
such as `--kind methods gce`. Exit codes: 0 all checks passed, 1 something is wrong, 2 it cannot be
checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]
sys.path.insert(1, str(Path.cwd()))  # where a plug-in lies for who writes it

from pydantic import ValidationError

from datasets.registry import is_outside
from runners.commands.arguments import guarded
from runners.commands.catalogue import CATALOGUES
from runners.study.problems import Problems
from runners.study.yaml_file import parse
from runners.system.errors import UserError
from runners.system.signals import release_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="package.module:Class, or a name of the suite with --kind")
    parser.add_argument("parameters", nargs="*", metavar="PARAMETER=VALUE")
    parser.add_argument("--kind", choices=CATALOGUES)
    parser.add_argument("--data", type=Path, metavar="DIR", help="root of a data set's files")
    options = parser.parse_args(arguments)
    release_signals()
    return guarded(lambda: check(options))


def check(options: argparse.Namespace) -> int:
    """Prints a line a check; returns the exit code."""
    kind = kind_of(options.name, options.kind)
    parameters = dict(map(parameter, options.parameters))
    print(f"checking {options.name}, {CATALOGUES[kind].kind}", flush=True)
    wrong = 0
    for outcome in outcomes_of(kind, options.name, parameters, options.data):
        print(outcome, flush=True)
        wrong += outcome.wrong is not None
    print("all checks passed" if not wrong else f"{wrong} checks say that something is wrong")
    return int(bool(wrong))


def kind_of(name: str, asked: str | None) -> str:
    """The kind of a component: as asked for, or as what it is.

    Raises:
        UserError: no such component.
    """
    if asked and not is_outside(name):
        if name not in CATALOGUES[asked].names():
            known = ", ".join(CATALOGUES[asked].names())
            raise UserError(f"check_component.py: {name!r} is not allowed: must be one of {known}")
        return asked
    if not is_outside(name):
        raise UserError(
            f"check_component.py: {name!r} is not allowed: must be package.module:Class, or a name "
            "of the suite with --kind"
        )
    said = ""
    for kind in (asked,) if asked else CATALOGUES:
        try:
            CATALOGUES[kind].load(name)
            return kind
        except ImportError as error:
            said = str(error)
    raise UserError(f"check_component.py: {said}")


def parameter(text: str) -> tuple[str, Any]:
    """Name and value of PARAMETER=VALUE; VALUE is YAML."""
    key, equals, value = text.partition("=")
    problems = Problems("check_component.py")
    parsed = parse(value, problems)
    problems.check()
    if not equals:
        raise UserError(f"check_component.py: {text!r} is not allowed: must be PARAMETER=VALUE")
    return key, parsed


def outcomes_of(kind: str, name: str, parameters: dict[str, Any], root: Path | None) -> Iterable:
    """The checks of a kind, run one after the other.

    Raises:
        UserError: the parameters are not those of the component.
    """
    from runners.contract import data, methods, networks  # these bring torch
    from runners.contract.checks import outcomes

    try:
        match kind:
            case "methods":
                return outcomes(methods.Subject.of(name), methods.CHECKS)
            case "datasets":
                subject = data.DataSubject(name, parameters, root)
                subject.dataset  # noqa: B018  (its parameters are checked here)
                return outcomes(subject, data.DATA_CHECKS)
            case "noise":
                noise = data.NoiseSubject(name, parameters)
                noise.model  # noqa: B018  (its parameters are checked here)
                return outcomes(noise, data.NOISE_CHECKS)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UserError(f"check_component.py: {name}: {said}") from error
    build = CATALOGUES[kind].load(name)
    return outcomes(networks.NetworkSubject(build), networks.CHECKS)


if __name__ == "__main__":
    sys.exit(main())
