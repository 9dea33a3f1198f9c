"""The client's models are those of the API, field by field, and know nothing else."""

import pytest

from api.faces.v1 import models as api
from sd_on_eks import models

SAME = {
    models.Job: api.JobView,
    models.QueuePlace: api.QueueView,
    models.Progress: api.ProgressView,
    models.Output: api.OutputView,
    models.JobProblem: api.JobErrorView,
    models.RequestWarning: api.WarningView,
    models.Timings: api.Timings,
    models.JobPage: api.JobPage,
    models.Checked: api.Checked,
    models.KeptRequest: api.KeptRequest,
    models.ProblemDetails: api.Problem,
    models.BatchAnswer: api.BatchAnswer,
    models.SubmittedBatch: api.SubmittedBatch,
    models.BatchJob: api.BatchJob,
    models.Batch: api.BatchView,
    models.Runtime: api.RuntimeView,
    models.RuntimeList: api.RuntimeList,
    models.RuntimeDetails: api.RuntimeDetails,
    models.Sizes: api.SizesView,
    models.WorkflowEntry: api.WorkflowRow,
    models.Workflow: api.WorkflowView,
    models.WorkflowList: api.WorkflowPage,
    models.UsageRow: api.UsageRow,
    models.UsagePage: api.UsageView,
    models.SentFile: api.FileView,
    models.FileUpload: api.UploadView,
    models.WebhookSecret: api.SecretView,
    models.WebhookDelivery: api.DeliveryView,
    models.DeliveryList: api.DeliveryPage,
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
