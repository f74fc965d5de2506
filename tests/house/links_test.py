"""The check of links: what it finds, and what it leaves alone."""

import unittest

from links import anchors, faults

PAGE = """# A page

## What is *not* guaranteed, and `why`?

## Again

## Again

Underlined too
--------------

<a id="By-Hand"></a>

```sh
# no heading
```

## With a [link](https://example.com) & snake_case_name
"""


class Links(unittest.TestCase):
    def faults(self, text: str, file: str = "docs/A.md", **more: str) -> list[str]:
        return faults({file: text, "docs/B.md": PAGE, "README.md": "# Top", "core/src/lib.rs": "", **more})

    def test_anchors_are_spelled_as_github_spells_them(self) -> None:
        expected = {"a-page", "what-is-not-guaranteed-and-why", "again", "again-1", "underlined-too", "by-hand", "with-a-link--snake_case_name"}
        self.assertEqual(anchors(PAGE), expected)

    def test_links_that_lead_somewhere_pass(self) -> None:
        good = """# Here
[file](B.md) [anchor](B.md#again-1) [own](#here) [up](../README.md#top) [root](/core/src/lib.rs) [folder](../core/src/) [titled](B.md "t")
[away](https://example.com/B.md#x) <https://example.com> [mail](mailto:a@example.com) [two][b] [b] <a href="B.md">x</a> <img src="../README.md">

[b]: B.md#by-hand
"""
        self.assertEqual(self.faults(good), [])

    def test_code_and_comments_hold_no_links(self) -> None:
        self.assertEqual(self.faults("`[a](gone.md)` ``x`[a](gone.md)`` <!-- [a](gone.md) -->\n\n```md\n[a](gone.md)\n```\n"), [])

    def test_each_link_that_leads_nowhere_is_found(self) -> None:
        for lie in ("gone.md", "../B.md", "../../docs/B.md", "/docs/gone.md", "B.md#gone", "#gone", "B.md#no-heading", "b.md"):
            with self.subTest(lie):
                (found,) = self.faults(f"# Here\n\nSee [this]({lie}).")
                self.assertTrue(found.startswith(f"docs/A.md:3: ({lie}) "), found)
        for lie in ("[x]: gone.md", '<a href="gone.md">x</a>', "![x](gone.png)", "[x][gone]", "[x](<gone.md>)", '[x](gone.md "title")'):
            with self.subTest(lie):
                self.assertEqual(len(self.faults(lie)), 1)


if __name__ == "__main__":
    unittest.main()
