"""The help of every command, and the options that all commands have."""

import argparse
import dataclasses

from jcnn.cli import main, study_arguments
from jcnn.cli.parser import build


def test_without_arguments_the_help_is_printed_with_examples(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: jcnn")
    assert printed.partition("examples:")[2].count("  jcnn ") == 3


def leaves(parser, path=()):
    """Yield every command, and every action of commands with actions."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield path, parser
    for action in inner:
        for name, child in action.choices.items():
            yield from leaves(child, (*path, name))


def test_every_command_has_quiet_and_json():
    commands = dict(leaves(build()[0]))
    assert ("runs", "export") in commands
    for path, parser in commands.items():
        flags = set(parser._option_string_actions)
        assert {"--quiet", "--json"} <= flags, path


def test_every_argument_has_help_and_every_option_its_default():
    for path, parser in leaves(build()[0]):
        for action in parser._actions:
            assert action.help, (path, action.dest)
            takes_value = action.option_strings and action.nargs != 0
            if takes_value or action.nargs == "?":
                assert "(default: " in action.help, (path, action.dest)


def test_the_defaults_in_the_help_are_those_of_a_study():
    from jcnn.study import Study

    defaults = {field.name: field.default for field in dataclasses.fields(Study)}
    for name, (kind, _, default) in study_arguments.SETTINGS.items():
        if defaults[name] is not None:
            assert kind(default) == defaults[name], name
    helps = {action.dest: action.help for action in dict(leaves(build()[0]))["compare",]._actions}
    rates = " ".join(map(str, defaults["learning_rates"]))
    for name, default in [
        ("learning_rate", rates), ("seeds", 5), ("data", "digits"), ("model", "lenet")
    ]:  # fmt: skip
        assert f"(default: {default})" in helps[name]
        assert defaults.get(name, default) == default
