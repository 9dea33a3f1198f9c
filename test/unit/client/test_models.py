"""The client's models are those of the API, field by field, and know nothing else."""

import pytest

from api.faces.v1.models import batches, files, jobs, outputs, problems, runtimes, usage, webhooks, workflows
from sd_on_eks import models

SAME = {
    models.Job: jobs.JobView,
    models.QueuePlace: jobs.QueueView,
    models.Progress: jobs.ProgressView,
    models.Output: outputs.OutputView,
    models.JobProblem: jobs.JobErrorView,
    models.RequestWarning: jobs.WarningView,
    models.Timings: jobs.Timings,
    models.JobPage: jobs.JobPage,
    models.Checked: jobs.Checked,
    models.KeptRequest: jobs.KeptRequest,
    models.ProblemDetails: problems.Problem,
    models.BatchAnswer: batches.BatchAnswer,
    models.SubmittedBatch: batches.SubmittedBatch,
    models.BatchJob: batches.BatchJob,
    models.Batch: batches.BatchView,
    models.Runtime: runtimes.RuntimeView,
    models.RuntimeList: runtimes.RuntimeList,
    models.RuntimeDetails: runtimes.RuntimeDetails,
    models.Sizes: runtimes.SizesView,
    models.WorkflowEntry: workflows.WorkflowRow,
    models.Workflow: workflows.WorkflowView,
    models.SettableInputs: workflows.WorkflowInputs,
    models.WorkflowList: workflows.WorkflowPage,
    models.UsageRow: usage.UsageRow,
    models.UsagePage: usage.UsageView,
    models.SentFile: files.FileView,
    models.FileUpload: files.UploadView,
    models.WebhookSecret: webhooks.SecretView,
    models.WebhookDelivery: webhooks.DeliveryView,
    models.DeliveryList: webhooks.DeliveryPage,
}


def types_of(model):
    """The JSON types of a model's fields, without what an enumeration or a pattern adds."""
    schema = model.model_json_schema(mode="serialization")
    definitions = schema.get("$defs", {})

    def types(field):
        if "$ref" in field:
            return types(definitions[field["$ref"].rpartition("/")[2]])
        if "anyOf" in field:
            return set().union(*map(types, field["anyOf"]))
        return {(field.get("type"), field.get("format"))}

    return {name: types(field) for name, field in schema["properties"].items()}


@pytest.mark.parametrize("model", SAME, ids=lambda model: model.__name__)
def test_a_model_has_the_fields_of_the_apis_with_their_types(model):
    assert types_of(model) == types_of(SAME[model])


@pytest.mark.parametrize("model", SAME, ids=lambda model: model.__name__)
def test_what_the_client_needs_the_api_always_sends(model):
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    assert needed <= {name for name, field in SAME[model].model_fields.items() if field.is_required()}


def test_fields_and_words_of_a_later_api_are_no_error():
    job = models.Job.model_validate(
        {
            "job": "1",
            "task_id": "t",
            "runtime": "r",
            "type": "t",
            "state": "pondering",
            "version": 1,
            "created_at": "2026-01-01T00:00:00Z",
            "mood": "good",
        }
    )
    assert (job.state, job.has_ended) == ("pondering", False)
