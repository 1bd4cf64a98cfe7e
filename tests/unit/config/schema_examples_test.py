#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""policy.schema.json accepts every example, and refuses what is wrong in each of a few ways.

Usage: schema_examples_test.py SOURCE_FOLDER
"""
import copy
import json
import pathlib
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML as an editor reads it: times are texts."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def wrong_policies(shop):
    """(what is wrong, the policy) for single changes of a right one."""

    def changed(what, change):
        policy = copy.deepcopy(shop)
        change(policy)
        return what, policy

    return [
        changed("an unknown section", lambda p: p.update(limts={})),
        changed("no version", lambda p: p.pop("version")),
        changed("an unknown key of a limit", lambda p: p["limits"]["login"].update(rat="1/s")),
        changed("a limit without a rate", lambda p: p["limits"]["login"].pop("rate")),
        changed("a rate that is none", lambda p: p["limits"]["login"].update(rate="5/minute")),
        changed("an unknown protocol", lambda p: p["services"]["shop"].update(protocol="htp")),
        changed("a status of success", lambda p: p["responses"]["full"].update(status=200)),
        changed("a name that is none", lambda p: p["pools"].update({"a b": p["pools"]["web"]})),
        changed("two kinds of health check",
                lambda p: p["pools"]["web"]["health"].update(tcp=True)),
    ]


def main():
    config = pathlib.Path(sys.argv[1]) / "config"
    schema = json.loads((config / "policy.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = 0
    examples = sorted((config / "examples").glob("*.yaml"))
    for path in examples:
        for error in validator.iter_errors(yaml.load(path.read_text(), Loader)):
            print(f"{path}: {'/'.join(map(str, error.path))}: {error.message}")
            failures += 1
    shop = yaml.load((config / "examples" / "shop.yaml").read_text(), Loader)
    for what, policy in wrong_policies(shop):
        if validator.is_valid(policy):
            print(f"the schema accepts {what}")
            failures += 1
    print(f"{len(examples)} examples, {failures} failures")
    return 1 if failures or not examples else 0


sys.exit(main())
