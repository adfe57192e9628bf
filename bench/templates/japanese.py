"""Japanese instructions and items of our own: every {choice|choice} is decided anew on each call."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

SENTENCES = (
    "{次の|以下の|下に示す}{問題|課題|設問}を{丁寧に|注意深く|慎重に}{読んで|確認して}ください。",
    "{答え|回答|解答}に{至る|たどり着く}までの{考え方|思考の過程|推論}を{すべて|残らず|一つずつ}{書いて|示して|述べて}ください。",
    "{途中|中間}の{計算|式}も{省かずに|飛ばさずに}{記して|残して}ください。",
    "{最後に|終わりに}{結論|結果}を{一行|一文}で{まとめて|述べて}ください。",
    "{誤り|間違い|不備}が{あれば|見つかれば}、{理由|根拠}と{直し方|修正案}を{挙げて|説明して}ください。",
    "あなたは{経験豊かな|優れた|熟練の}{編集者|査読者|技術者}です。",
    "{評価|採点}は{正確さ|厳密さ}、{分かりやすさ|明快さ}、{完全さ|網羅性}の{三つ|三点}で行います。",
    "{各項目|それぞれ}を{五段階|十点満点}で{評価し|採点し}、{合計|総合点}も{出して|示して}ください。",
    "{専門用語|難しい言葉}は{避け|使わず}、{初心者|学生}にも{伝わる|分かる}ように{書いて|説明して}ください。",
    "{出典|参考文献}を{必ず|忘れずに}{添えて|付けて}、{推測|憶測}と{事実|確認できた事}を{区別して|分けて}ください。",
    "{別の|ほかの}{方法|解き方|手順}も{二つ|三つ}{検討し|考え}、{採らなかった|選ばなかった}{わけ|理由}を{書いて|述べて}ください。",
    "{出力|返答}は{表|箇条書き}の{形|形式}で{お願いします|返してください}。",
)
SUBJECTS = (  # what an instruction is about: N and V are decided once for each template
    "{対象|題材}はNのNに関する{記録|報告|資料}で、NがV{理由|原因|経緯}を{調べて|確かめて}ください。",
    "NとNの{関係|つながり}を{整理し|まとめ}、NがV{場合|とき}の{影響|結果}も{考えて|検討して}ください。",
    "{特に|とりわけ}NのNについて、Nが{どれだけ|どの程度}Vかを{数値|数字}で{示して|表して}ください。",
    "Nの{担当者|責任者}に{渡す|見せる}Nの{文書|説明文}として、NがVことから{書き始めて|述べ始めて}ください。",
)
NOUNS = (
    "駅", "川", "工場", "倉庫", "会議", "契約", "学校", "温度", "速度", "売上", "在庫", "薬", "航路", "橋", "予算",
    "材料", "電池", "画像", "音声", "地図", "小麦", "漁船", "図書館", "郵便", "庭園", "果物", "鉄道", "気象", "保険",
)  # fmt: skip
VERBS = (
    "増えた", "減った", "止まった", "届いた", "遅れた", "壊れた", "始まった", "終わった", "変わった", "戻った",
    "売れた", "見つかった", "足りない", "続いている", "予測された", "測定された",
)  # fmt: skip
COMPOUNDS = 2_000  # made-up nouns of two signs, for templates with a subject
SUBJECT_SENTENCES = 3  # of a template that has a subject
_CHOICE = re.compile(r"\{([^}]*)\}")


def templates(count: int, rng: np.random.Generator) -> list[list[str]]:
    """Instructions of five stock sentences each, any two of which share two on average."""
    return [[SENTENCES[i] for i in rng.permutation(len(SENTENCES))[:5]] for _ in range(count)]


def templates_with_subjects(count: int, nouns: Sequence[str], rng: np.random.Generator) -> list[list[str]]:
    """Instructions of two stock sentences each, behind three about a subject of their own."""
    made = []
    for _ in range(count):
        frames = [SUBJECTS[i] for i in rng.permutation(len(SUBJECTS))[:SUBJECT_SENTENCES]]
        stock = [SENTENCES[i] for i in rng.permutation(len(SENTENCES))[:2]]
        made.append([_decided(frame, nouns, rng) for frame in frames] + stock)
    return made


def compounds(rng: np.random.Generator) -> list[str]:
    """Nouns of two Chinese signs, most frequent first."""
    signs = 0x4E00 + rng.permutation(1_500)
    pairs = rng.choice(signs, (2 * COMPOUNDS, 2))
    return list(dict.fromkeys(chr(a) + chr(b) for a, b in pairs))[:COMPOUNDS]


def worded(template: list[str], rng: np.random.Generator) -> str:
    """One wording of a template."""

    def choose(found: re.Match[str]) -> str:
        options = found[1].split("|")
        return options[int(rng.integers(len(options)))]

    return "".join(_CHOICE.sub(choose, sentence) for sentence in template)


def items(nouns: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Reports of ten to thirty short sentences without end."""
    while True:
        count = int(rng.integers(10, 31))
        yield "".join(_decided("NのNがV。", nouns, rng) for _ in range(count))


def _decided(sentence: str, nouns: Sequence[str], rng: np.random.Generator) -> str:
    """The sentence with every N a noun, frequent ones more often, and every V a verb."""

    def decide(found: re.Match[str]) -> str:
        if found[0] == "V":
            return VERBS[int(rng.integers(len(VERBS)))]
        return nouns[min(int(len(nouns) * rng.random() ** 2), len(nouns) - 1)]

    return re.sub("[NV]", decide, sentence)
