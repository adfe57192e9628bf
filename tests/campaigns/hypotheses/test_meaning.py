"""What each innocent explanation means, in one sentence for whom it is about."""

from stillwatch.campaigns.hypotheses import Finding, hypotheses, meaning


def test_every_explanation_says_what_it_means_in_the_first_sentence_of_its_file() -> None:
    for one in hypotheses():
        said = meaning(Finding(one.name, False, "so"))
        assert said != one.name
        assert said.endswith(".")


def test_an_explanation_nobody_knows_means_its_name() -> None:
    assert meaning(Finding("weather", False, "so")) == "weather"
