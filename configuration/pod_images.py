"""The images that a runtime's pods are made of: those that config.yaml names, else those of this checkout."""

from dataclasses import dataclass

from configuration.chart_values import Image
from configuration.config import ModelsRuntime
from configuration.images import AGENT, IMAGES, ImageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PodImage:
    """The image of one container.

    Attributes:
        container: The container's section in the chart's values.
        source: The project's own image for it.
        chosen: What config.yaml says of it.
    """

    container: str
    source: ImageSource
    chosen: Image

    @property
    def is_default(self) -> bool:
        """Whether config.yaml leaves the choice to the deployment."""
        return not (self.chosen.repository or self.chosen.tag or self.chosen.digest)

    def is_ours(self, registry: str) -> bool:
        """Whether it is taken from the project's own repository.

        Args:
            registry: The account's.
        """
        return self.chosen.repository in {None, self._repository(registry)}

    def asked(self, registry: str, tag: str) -> Image:
        """What the pods ask for: an image of the operator's own is taken whole, as are his tag and digest of ours.

        Args:
            registry: The account's.
            tag: That of this checkout's image.
        """
        chosen = self.chosen
        if chosen.repository is not None:
            return chosen
        own_tag = tag if chosen.digest is None else None
        return chosen.model_copy(update={"repository": self._repository(registry), "tag": chosen.tag or own_tag})

    def _repository(self, registry: str) -> str:
        return f"{registry}/{self.source.repository}"


def pod_images(runtime: ModelsRuntime) -> tuple[PodImage, ...]:
    """The images of model server and agent; none for a foreign chart, whose values are its own."""
    if runtime.chart_repository is not None:
        return ()
    values = runtime.extra_values.runtime
    return (
        PodImage(container="inferenceApi", source=IMAGES[runtime.type], chosen=values.inference_api.image),
        PodImage(container="queueAgent", source=IMAGES[AGENT], chosen=values.queue_agent.image),
    )
