"""Writes sample_data/awkward: every file byte by byte, so that what is in it can be read here.

Run it from anywhere: ``python tests/make_awkward_files.py``. A test holds the committed files to it.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "sample_data" / "awkward"
BOM = "\ufeff"


def awkward_files() -> dict[str, bytes]:
    """Give the bytes of each file by name."""
    texts = {
        "blank_lines.txt": "\n\n   \n\t\n\u3000\u3000\n\r\n\n",
        "bom.txt": f"{BOM}文件开头藏着一个看不见的记号。\n两个文件拼在一起时，{BOM}它会跑到正文中间来。\n",
        "combining.txt": (
            "她在Cafe\u0301点了一杯拿铁，付了E\u0301tienne的那份。\n"
            "İstanbul的第一个字母上有一个点，小写以后变成两个码位。\n"
            "ﬁrst和ﬂat里藏着连字，Ｗｏｒｄ和１２３是全角。\n"
            "z\u0351\u036b\u0343\u036a\u0302\u036b\u033d一个字母可以戴很多顶帽子。\n"
        ),
        "crlf.txt": "这一行来自另一种系统。\r\n那里的行尾有两个字符。\r\n\r\n空行之后是新的一段。\r\n",
        "emoji.txt": (
            "周末全家去爬山👨\u200d👩\u200d👧\u200d👦，到山顶比了个👍🏽。\n"
            "国旗是两个字母拼成的：🇨🇳和🇫🇷。\n"
            "❤\ufe0f和❤看起来差不多，🏳\ufe0f\u200d🌈却有四个码位。\n"
        ),
        "extension_b.txt": "路口那家小店的招牌写着𠮷字，不是吉。\n𪚥读作zhé，由四条龙叠成，𠀀𠀁𠀂也很少有人认得。\n",
        "line_separators.txt": "诗的第一行\u2028诗的第二行\u2029新的一段\x85下一行还在同一篇里。\n这才是第二篇。\n",
        "literal_specials.txt": (
            "模型把[MASK]看成一个空位，句子之间放[SEP]。\n"
            "教程里写着：[CLS]在最前面，[PAD]在最后面，认不得的写成[UNK]。\n"
        ),
        "lone_cr.txt": "很老的机器只用一个回车\r来结束一行\r所以整个文件是一行",
        "nul.txt": "数据库导出时\x00多了几个\x00空字符。\n\x00\x00\x00\n后面的一篇没有问题。\n",
        "only_latin.txt": (
            "The old bridge was closed for repairs, so we walked home along the river.\n"
            "for i in range(10): print(i ** 2)\n"
        ),
        "only_spaces.txt": "    \u3000\u3000 \u3000   ",
        "traditional.txt": (
            "巷口的麵店開了三十年，老闆娘記得每個客人的口味。\n颱風過後，學校圍牆邊的榕樹倒了，師生們一起把它扶正。\n"
        ),
        "very_long_line.txt": "山里的雨下了一整夜早晨溪水漫过石桥孩子们绕远路去上学" * 2400 + "\n",
    }
    return {name: text.encode("utf-8") for name, text in texts.items()} | {
        "broken.jsonl": _broken_rows(),
        "empty.txt": b"",
        "invalid_utf8.txt": _one_bad_byte(),
        "truncated.txt.gz": _cut_gzip(),
    }


def _one_bad_byte() -> bytes:
    """Three documents, one line each; in the second a byte that no UTF-8 has."""
    good, bad = "第一篇没有问题。\n".encode(), "第二篇的中间".encode()
    return good + bad + b"\xff" + "坏了一个字节。\n".encode() + "第三篇也没有问题。\n".encode()


def _broken_rows() -> bytes:
    rows = [
        '{"text": "第一行是好的。", "id": 1}',
        '{"text": "这一行没有写完',
        '{"id": 3, "title": "这一行没有正文"}',
        '{"text": 20260704}',
        '{"text": "半个代理对\\ud83d在这里。"}',
        "",
        '["这一行是数组"]',
        '{"text": "   "}',
        '{"text": "转义也行：\\u6c49\\u5b57\\ud83d\\ude00。\\n一行里可以有两行。"}',
        '{"text": null}',
        '{"text": "最后一行也是好的。"}',
    ]
    return "".join(f"{row}\n" for row in rows).encode("utf-8")


def _cut_gzip() -> bytes:
    """A gzip file of four lines that breaks off in the third.

    Its blocks are stored, not compressed, one for each line, so that its bytes depend on no zlib.
    """
    lines = [f"压缩文件的第{number}行，后面还有。\n".encode() for number in "一二三四"]
    blocks = b"".join(struct.pack("<BHH", line is lines[-1], len(line), len(line) ^ 0xFFFF) + line for line in lines)
    content = b"".join(lines)
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    whole = header + blocks + struct.pack("<II", zlib.crc32(content), len(content))
    return whole[: len(header) + 2 * (5 + len(lines[0])) + 20]


def main() -> int:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in awkward_files().items():
        (FOLDER / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
