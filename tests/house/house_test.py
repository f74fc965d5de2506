"""The figures of `./dev house`: what each of them counts, and what it leaves alone."""

import unittest

from circles import circles_of
from house import House, bare, without_tests


def house(**files: str) -> House:
    """A house of these files; in their names `__` is a slash and `_DOT_` the dot before the suffix."""
    built = House.__new__(House)
    built.all = {name.replace("__", "/").replace("_DOT_", "."): text for name, text in files.items()}
    built.files = dict(built.all)
    built.rust = {name: without_tests(text) for name, text in built.files.items() if name.endswith(".rs")}
    built.bare = {name: bare(text) for name, text in built.rust.items()}
    return built


class Circles(unittest.TestCase):
    def circles(self, **files: str) -> list[str]:
        return circles_of("core", {f"core/src/{name.replace('__', '/')}.rs": text for name, text in files.items()})

    def test_two_files_that_name_each_other_are_one(self) -> None:
        for there in ("use crate::b::B;", "use super::b::B;", "fn f() { crate::b::g() }", "use crate::{b::{B, C}, c};"):
            for back in ("use crate::a::A;", "use super::{a};", "fn g() { super::a::f() }"):
                with self.subTest(f"{there} {back}"):
                    self.assertEqual(self.circles(a=there, b=back), ["core/src/a.rs  core/src/b.rs"])

    def test_a_name_that_a_module_passes_on_leads_to_its_file(self) -> None:
        passed = "mod a;\nmod b;\npub use a::A;\npub(crate) use b::{B as Other};"
        self.assertEqual(
            self.circles(lib=passed, a="use crate::Other;", b="use super::A;"), ["core/src/a.rs  core/src/b.rs"]
        )
        twice = "pub use b::Deep;"
        inner = self.circles(lib="pub use x::Deep;", x__mod=twice, x__b="use crate::a::A;", a="use crate::Deep;")
        self.assertEqual(inner, ["core/src/a.rs  core/src/x/b.rs"])

    def test_a_longer_way_around_is_one_too(self) -> None:
        found = self.circles(a="use crate::b::B;", b="use crate::c::C;", c="use crate::a::A;", d="use crate::a::A;")
        self.assertEqual(found, ["core/src/a.rs  core/src/b.rs  core/src/c.rs"])

    def test_what_is_none(self) -> None:
        for files in (
            {"a": "use crate::b::B;", "b": "use std::a::A;"},
            {"x__mod": "mod part;\nuse part::P;", "x__part": "use super::Whole;"},
            {"lib": "pub use serde::Serialize as S;\npub mod a;", "a": "use crate::S;"},
            {"lib": "pub use crate::lib::Same;", "a": "use crate::Same;"},
        ):
            with self.subTest(files):
                self.assertEqual(self.circles(**files), [])


class Figures(unittest.TestCase):
    def test_a_type_of_one_word_and_one_name_for_two(self) -> None:
        code = "pub struct License;\nstruct LicenseId;\nimpl Iterator for X {\n    type Item = u8;\n}\n// struct Ghost;\n"
        found = house(core__src__a_DOT_rs=code, core__src__b_DOT_rs='enum LicenseId { A }\nconst T: &str = "struct Text";')
        self.assertEqual(found.one_word(), (["License core/src/a.rs"], 3))
        self.assertEqual(found.shared()[0], ["LicenseId core/src/a.rs", "LicenseId core/src/b.rs"])

    def test_a_local_of_one_letter_in_a_script(self) -> None:
        script = "local a, name = 1\nfor _, b in pairs(x) do end\nlocal function f(c, d_e) end -- local z\n"
        self.assertEqual([one.split()[0] for one in house(core__x_DOT_lua=script).lua_locals()[0]], ["a", "c", "b"])

    def test_a_function_of_more_than_forty_lines(self) -> None:
        long = "fn long() {\n" + "    step();\n" * 39 + "}\n"
        self.assertEqual(house(core__a_DOT_rs=long).long_functions(), (["core/a.rs long 41"], 1))
        self.assertEqual(house(core__a_DOT_rs=long.replace("    step();\n", "", 1)).long_functions()[0], [])

    def test_six_equal_lines_and_not_five(self) -> None:
        lines = "".join(f"    step_{number}();\n" for number in range(6))
        other = lines.replace("step_5", "else_5")
        self.assertEqual(len(house(core__a_DOT_rs=lines, core__b_DOT_rs=lines).duplicates()[0]), 1)
        self.assertEqual(house(core__a_DOT_rs=lines, core__b_DOT_rs=other).duplicates()[0], [])

    def test_a_long_line_and_a_long_file(self) -> None:
        wide, tall = "x" * 121 + "\n", "x\n" * 401
        found = house(core__a_DOT_rs=wide, core__b_DOT_rs=tall, core__c_DOT_rs=wide[1:] + tall[2:])
        self.assertEqual(found.long_lines()[0], ["core/a.rs:1 121"])
        self.assertEqual(found.long_files()[0], ["core/b.rs 401", "core/c.rs 401"])

    def test_what_only_tests_use_does_not_count(self) -> None:
        code = "pub struct Seat;\n#[cfg(test)]\nmod tests {\n    struct Fake;\n}\npub enum Pool {}\n"
        self.assertEqual([one.split()[0] for one in house(core__a_DOT_rs=code).one_word()[0]], ["Seat", "Pool"])


if __name__ == "__main__":
    unittest.main()
