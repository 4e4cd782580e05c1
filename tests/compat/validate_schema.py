"""Checks TOML files against the generated JSON Schemas with an independent validator (python3-jsonschema).

Usage: validate_schema.py SOURCE_DIR. Good files must be valid; files of tests/config/bad that break the schema must not be.
"""
import json
import pathlib
import sys
import tomllib

import jsonschema


def kind(path: pathlib.Path) -> str:
    if path.name.startswith("defconfig"):
        return "defconfig"
    return "board" if path.name.startswith("board-") or path.parent.name == "board" else "vm"


def main(source: pathlib.Path) -> int:
    validators = {}
    for name in ("defconfig", "board", "vm"):
        schema = json.loads((source / f"docs/schema/{name}.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        validators[name] = jsonschema.Draft7Validator(schema)

    axvisor = source.parent / "shared/compat/axvisor"
    if not axvisor.is_dir():
        print(f"AxVisor's own files are not beside the source tree ({axvisor}): not checked")
    good, failures = 0, 0
    for folder in ("configs", "configs/board", "configs/vms", "tests/compat/files", axvisor, axvisor / "board", axvisor / "vms"):
        for path in sorted((source / folder).glob("*.toml")):
            good += 1
            for error in validators[kind(path)].iter_errors(tomllib.loads(path.read_text())):
                failures += 1
                print(f"{path}: {list(error.absolute_path)}: {error.message}")

    bad = 0
    for path in sorted((source / "tests/config/bad").glob("*.toml")):
        if not path.stem.startswith(("schema-", "not-built-", "board-log-level", "board-unknown", "defconfig-")):
            continue
        # Control characters and the length in bytes are beyond what the schema says.
        if path.stem in ("schema-control-character",):
            continue
        bad += 1
        if validators[kind(path)].is_valid(tomllib.loads(path.read_text())):
            failures += 1
            print(f"{path}: valid by the JSON Schema, refused by the generator")
    print(f"{good} good and {bad} bad files, {failures} failures")
    return 1 if failures or good < 19 or bad < 20 else 0


sys.exit(main(pathlib.Path(sys.argv[1])))
