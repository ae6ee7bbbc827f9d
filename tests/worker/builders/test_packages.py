"""What will be installed to serve, with versions and licences from the packages' own metadata."""

from email.message import Message
from importlib.metadata import version

import pytest

from worker.builders.packages import licence_of, list_packages


def test_the_pins_and_all_they_need_are_listed_once() -> None:
    packages = list_packages([f"onnxruntime=={version('onnxruntime')}"])
    names = [package["name"] for package in packages]
    assert names == sorted(set(names))
    assert {"onnxruntime", "numpy", "protobuf", "flatbuffers", "uvloop"} <= set(names)
    assert all(package["version"] == version(package["name"]) for package in packages)
    assert "sympy" not in names, "only what onnxruntime of this version needs"


def test_what_is_not_installed_here_is_left_out() -> None:
    assert "no-such-package" not in {package["name"] for package in list_packages(["no-such-package==1.0"])}


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT"), ("License", "long text")], "MIT"),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "x")], "BSD License"),
        ([("Classifier", "Topic :: Software"), ("License", "Apache-2.0\nmore")], "Apache-2.0"),
        ([("License", "Permission is hereby granted, free of charge, to any person obtaining a copy")], ""),
        ([], ""),
    ],
)
def test_a_licence_is_told_in_a_few_words(fields: list[tuple[str, str]], licence: str) -> None:
    about = Message()
    for name, value in fields:
        about[name] = value
    assert licence_of(about) == licence  # type: ignore[arg-type]
