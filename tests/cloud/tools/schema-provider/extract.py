"""Reads the schema of a provider out of the wheels that have it (wheels.txt), and writes it in the form of
`tofu providers schema -json`.

extract.py OUT.json NAME=WHEEL:PATTERN...    google=cdktn_provider_google-21.1.0-py3-none-any.whl:'google_pubsub_.*'

The wheels hold bindings that are generated from the provider's own schema. They say of each argument its type, whether
it is required, optional or decided by the provider, and how blocks nest. They leave out: `sensitive` and `write_only`
(given.json has those that matter here), and every `max_items` but 1. `one_of` is added where an argument's description
says "Possible values: [...]".
"""

import collections
import io
import json
import re
import sys
import tarfile
import zipfile

CLASS = re.compile(r"^class (\w+) extends cdkt[nf]\.(\w+) \{", re.M)
WRITER = re.compile(r"^function (\w+?)ToHclTerraform\(struct\) \{", re.M)
MEMBER = re.compile(r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$", re.M)
HCL = re.compile(
    r'^\s+"?(\w+)"?: \{\n\s+value: .*\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)"', re.M
)
RESOURCE = re.compile(r'static tfResourceType = "([\w-]+)"')
NESTED = re.compile(r'\n    _\w+ = new (\w+?)(OutputReference|List|Map)\(this, "\w+"(?:, (true|false))?\)')
INTERFACE = re.compile(r"^export interface (\w+)[^\n]*\{\n(.*?)^\}", re.M | re.S)
POSSIBLE = re.compile(r"Possible values: \[([^\]]*)\]")
LINK = re.compile(r"\{@link \S+#(\w+) ")

SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
STORED = SIMPLE | {"any": "dynamic"}
# How a class that stores a value of several is called, and what is around the value, from outside in.
WRAPPED = {"MapList": ("list", "map"), "ListMap": ("map", "list"), "ListList": ("list", "list"), "Map": ("map",)}
WHOLE = ("TerraformResource", "TerraformDataSource", "TerraformProvider", "TerraformEphemeralResource")


class Binding:
    """The binding of one type: the classes of its index.js and index-structs, and the values its .d.ts lists."""

    def __init__(self, texts):
        scripts = [name for name in texts if name.endswith(".js") and not name.endswith("structs/index.js")]
        scripts.sort(key=lambda name: (name == "index.js", int(re.sub(r"\D", "", name) or 0)))
        source = "\n".join(texts[name].split("//# sourceMappingURL")[0] for name in scripts)
        self.source = re.sub(r"new (?:index|structs)\w*_\d+\.", "new ", source)
        self.values = {}
        for name, text in texts.items():
            if name.endswith(".d.ts"):
                self.read_values(text)
        self.classes, self.hcl = {}, {}
        marks = [*CLASS.finditer(self.source), *WRITER.finditer(self.source)]
        marks.sort(key=lambda mark: mark.start())
        ends = [mark.start() for mark in marks[1:]] + [len(self.source)]
        for mark, end in zip(marks, ends):
            body = self.source[mark.start() : end]
            if mark.re is CLASS:
                self.classes[mark[1]] = (mark[2], body)
            else:
                self.hcl[mark[1].lower()] = hcl_of(body)

    def read_values(self, text):
        for interface in INTERFACE.finditer(text):
            for comment in re.findall(r"/\*\*(.*?)\*/", interface[2], re.S):
                values, argument = POSSIBLE.search(comment), LINK.search(comment)
                if values and argument:
                    self.values[interface[1], argument[1]] = re.findall(r'"([^"]+)"', values[1])

    def members(self, cls):
        """The arguments of a class: name, (computed, optional, required), the code up to the next one."""
        body = self.classes[cls][1]
        found = list(MEMBER.finditer(body))
        ends = [member.start() for member in found[1:]] + [len(body)]
        for member, end in zip(found, ends):
            yield member[1], tuple(word == "true" for word in member.groups()[1:]), body[member.end() : end]

    def hcl_for(self, cls):
        base, body = self.classes[cls]
        if base in WHOLE:
            at = body.find("synthesizeHclAttributes()")
            return hcl_of(body[at:]) if at > 0 else {}
        return self.hcl.get(cls.removesuffix("OutputReference").lower(), {})

    def nested(self, text):
        """The class of a nested block, how it is held, and whether it is a set."""
        found = NESTED.match(text)
        if found and found[1] + "OutputReference" in self.classes:
            return found[1] + "OutputReference", found[2], found[3] == "true"
        return None

    def nested_type(self, name, nested, hcl):
        cls, held, is_set = nested
        own = self.hcl_for(cls)
        fields = {}
        for field, _, text in self.members(cls):
            inner = self.nested(text)
            fields[field] = self.nested_type(field, inner, own) if inner else leaf(field, text, own)
        kind = ["object", fields]
        if held == "Map":
            return ["map", kind]
        if held == "OutputReference":
            around = hcl[name][1] if name in hcl else "struct"
            return kind if around == "struct" else [around, kind]
        return ["set" if is_set else "list", kind]

    def block(self, cls):
        hcl = self.hcl_for(cls)
        interface = cls.removesuffix("OutputReference") if cls.endswith("OutputReference") else cls + "Config"
        attributes, blocks = {}, {}
        for name, flags, text in self.members(cls):
            said = {key: True for key, flag in zip(("computed", "optional", "required"), flags) if flag}
            nested = self.nested(text)
            if nested is None and name in hcl and hcl[name][0]:
                blocks[name] = self.block_without_class(hcl[name])
            elif nested is None:
                attributes[name] = {"type": leaf(name, text, hcl), **said}
                one_of = self.values.get((interface, name))
                if one_of and attributes[name]["type"] == "string" and (flags[1] or flags[2]):
                    attributes[name]["one_of"] = one_of
            elif flags[0]:
                attributes[name] = {"type": self.nested_type(name, nested, hcl), **said}
            else:
                blocks[name] = self.nested_block(nested, hcl.get(name), required=flags[2])
        named = {"attributes": attributes, "block_types": blocks}
        return {key: dict(sorted(value.items())) for key, value in named.items() if value}

    def nested_block(self, nested, hcl, required):
        cls, held, is_set = nested
        around = hcl[1] if hcl else ("set" if is_set else "list")
        block = {"nesting_mode": {"struct": "single"}.get(around, around), "block": self.block(cls)}
        if block["nesting_mode"] in ("list", "set"):
            block |= {"min_items": 1} if required else {}
            block |= {"max_items": 1} if held == "OutputReference" else {}
        return block

    def block_without_class(self, hcl):
        """The provider's own blocks have no class, only the function that writes them."""
        inner = self.hcl[hcl[2].lower().removesuffix("list")]
        attributes = {name: {"type": leaf(name, "", inner), "optional": True} for name in inner}
        return {"nesting_mode": hcl[1], "max_items": 1, "block": {"attributes": attributes}}


def hcl_of(body):
    """Argument → (whether it is a block, how it nests, the class that stores it)."""
    return {found[1]: (found[2] == "true", found[3], found[4]) for found in HCL.finditer(body)}


def stored_type(kind, storage):
    for suffix, around in {**WRAPPED, "List": (kind if kind in ("list", "set") else "list",)}.items():
        if storage.endswith(suffix) and storage.removesuffix(suffix) in STORED:
            result = STORED[storage.removesuffix(suffix)]
            for word in reversed(around):
                result = [word, result]
            return result
    return STORED.get(storage)


def leaf(name, text, hcl):
    """The type of an argument that is no block: as it is written where it can be, else as it is read."""
    if name in hcl and (stored := stored_type(hcl[name][1], hcl[name][2])):
        return stored
    if found := re.search(r'new cdkt[nf]\.(String|Number|Boolean|Any)Map(List)?\(this, "\w+"', text):
        inner = ["map", STORED[found[1].lower()]]
        return ["list", inner] if found[2] else inner
    if found := re.search(r"new cdkt[nf]\.(String|Number|Boolean|Any)ListMap\(", text):
        return ["map", ["list", STORED[found[1].lower()]]]
    head = text[: text.find("}\n")]
    around = "set" if "Fn.tolist(" in head else "list"
    read = {
        "getStringMapAttribute": ["map", "string"],
        "getNumberMapAttribute": ["map", "number"],
        "getBooleanMapAttribute": ["map", "bool"],
        "getAnyMapAttribute": ["map", "dynamic"],
        "getNumberListAttribute": [around, "number"],
        "getListAttribute": [around, "string"],
        "getStringAttribute": "string",
        "getNumberAttribute": "number",
        "getBooleanAttribute": "bool",
        "interpolationForAttribute": "dynamic",
    }
    for word, kind in read.items():
        if word in head:
            return kind
    raise ValueError(f"The type of {name} is not known: {head!r}")


def bindings(wheel, wanted):
    """The files of each binding that is wanted: the folder cloud-run-v2-service holds google_cloud_run_v2_service."""
    found = collections.defaultdict(dict)
    with zipfile.ZipFile(wheel) as outer:
        archive = outer.read(next(name for name in outer.namelist() if name.endswith(".tgz")))
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as inner:
        for member in inner:
            folder, _, name = member.name.partition("package/lib/")[2].partition("/")
            kind = re.sub("^(data-)?(google-)?", "google-", folder).replace("-", "_")
            if name.endswith((".js", ".d.ts")) and (folder == "provider" or wanted.fullmatch(kind)):
                found[folder][name] = inner.extractfile(member).read().decode()
    return found.values()


def schema_of(wheel, wanted):
    provider, resources, data = None, {}, {}
    for texts in bindings(wheel, wanted):
        binding = Binding(texts)
        for cls, (base, body) in binding.classes.items():
            name = RESOURCE.search(body)
            if name and base == "TerraformProvider":
                provider = {"version": 0, "block": binding.block(cls)}
            elif name and wanted.fullmatch(name[1]) and base in ("TerraformResource", "TerraformDataSource"):
                kinds = resources if base == "TerraformResource" else data
                kinds[name[1]] = {"version": 0, "block": binding.block(cls)}
    if provider is None or not resources:
        raise SystemExit(f"{wheel} has no provider, or no type that matches {wanted.pattern}.")
    sorted_kinds = {key: dict(sorted(kinds.items())) for key, kinds in (("resource", resources), ("data_source", data))}
    return {"provider": provider} | {f"{key}_schemas": kinds for key, kinds in sorted_kinds.items()}


def main(out, *sources):
    schemas = {}
    for source in sources:
        provider, _, rest = source.partition("=")
        wheel, _, pattern = rest.partition(":")
        schemas[f"registry.opentofu.org/hashicorp/{provider}"] = schema_of(wheel, re.compile(pattern))
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"format_version": "1.0", "provider_schemas": schemas}, file, separators=(",", ":"))


if __name__ == "__main__":
    main(*sys.argv[1:])
