"""The model of Chiappa and Paquet 2019: positions that move by Newton's laws, and pictures of them."""

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.hub.repository import FromHub
from world_models.interface import Context, Future
from world_models.kalman.config import KalmanConfig
from world_models.kalman.inference.network import InferenceNetwork, Inferred
from world_models.kalman.inference.published import PublishedNetwork
from world_models.kalman.inference.rereading import Atlas, settle
from world_models.kalman.lgssm.dynamics import NewtonianDynamics
from world_models.kalman.lgssm.filter import LGSSM, kalman_filter
from world_models.kalman.renderer import Renderer

GRID = 64
"""Places per axis at which the renderer is asked where it draws."""


class Kalman(FromHub, nn.Module):
    """Renderer, dynamics and inference network (sections 2.1.1, 2.1.2 and 2.2.1).

    Rows of a batch do not influence each other. ``pixel_matrix`` and ``pixel_offset`` map latent positions to
    pixels; :meth:`calibrate` finds them from what the renderer draws.
    """

    def __init__(self, config: KalmanConfig) -> None:
        super().__init__()
        self.config = config
        self.renderer = Renderer(config.image_size, config.canvas, config.scale, config.published)
        self.motion = NewtonianDynamics(config.components, config.scale, config.published)
        self.inference = PublishedNetwork(config) if config.published else InferenceNetwork(config)
        half = config.image_size / 2.0
        self.register_buffer("pixel_matrix", half / config.scale * torch.eye(2))
        self.register_buffer("pixel_offset", torch.full((2,), half - 0.5))
        self.pixel_matrix: Tensor
        self.pixel_offset: Tensor
        self._atlas: Atlas | None = None

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "Kalman":
        """Load a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, KalmanConfig, device)

    def dynamics(self) -> LGSSM:
        """The learned state-space model; to be used outside autocast."""
        return self.motion()

    def render(self, places: Float[Tensor, "*B N 2"]) -> Float[Tensor, "*B 1 H W"]:
        """Logits of pictures of N objects at latent positions (eq. 1, 2)."""
        return self.renderer(places)

    def draw(self, places: Float[Tensor, "*B N 2"]) -> Float[Tensor, "*B 1 H W"]:
        """How likely every pixel is white, with objects at latent positions.

        White is what any object, drawn alone, makes white. All objects in one state (eq. 1, 2), as learned,
        smudge one that is between two others: a half-plane that holds it holds one of them. The published
        model draws so.
        """
        if self.config.published:
            return self.render(places).sigmoid()
        alone = self.render(places[..., None, :]).sigmoid()
        return 1.0 - (1.0 - alone).prod(dim=-4) if places.shape[-2] > 1 else alone.squeeze(-4)

    def infer(
        self,
        frames: Float[Tensor, "B T 1 H W"],
        objects: int,
        state: Tensor | None = None,
        careful: bool = True,
    ) -> Inferred:
        """Where the objects are seen to be (eq. 8, 9), without knowledge of later frames.

        Args:
            frames: pictures in [0, 1].
            objects: how many objects there are, N.
            state: ``Inferred.state`` of the frames before these; None if these are the first.
            careful: objects take turns until they agree on who is where, and places that are read with doubt
                move the expectation less. Training goes without, which is faster.

        Raises:
            ValueError: if the model does not know so many objects, or pictures have another size.
        """
        self._check(frames, objects)
        evidence = self.inference.evidence(frames)
        with torch.autocast(frames.device.type, enabled=False):
            known = self.dynamics()
            fixed = LGSSM(**{field.name: getattr(known, field.name).detach() for field in fields(known)})
            return self.inference(evidence, fixed, objects, state, careful)

    def track(
        self,
        frames: Float[Tensor, "B S 1 H W"],
        places: Float[Tensor, "B N T 2"],
        observed: Bool[Tensor, " T"] | None = None,
    ) -> Float[Tensor, "B N T 2"]:
        """Where the objects are seen to be, with the knowledge of all frames; the published model leaves
        places as they are.

        Args:
            frames: pictures in [0, 1], S of T steps.
            places: what :meth:`infer` has answered; anything at steps without a frame.
            observed: False at steps without a frame; None if all have one.
        """
        if self.config.published:
            return places
        return settle(self.dynamics(), self.atlas(), frames, places, observed)

    @torch.no_grad()
    def atlas(self) -> Atlas:
        """What the renderer draws of one object at every whole pixel; made once, of finished weights."""
        if self._atlas is None or self._atlas.places.device != self.pixel_offset.device:
            axis = torch.arange(float(self.config.image_size), device=self.pixel_offset.device)
            pixels = torch.cartesian_prod(axis, axis).flip(-1)
            places = (pixels - self.pixel_offset) @ torch.linalg.inv(self.pixel_matrix).mT
            drawn = self.render(places[:, None]).flatten(1)
            self._atlas = Atlas(places, (drawn > 0.0).float())
        return self._atlas

    def unseen(self, state: Tensor, steps: int, imagined: Tensor | None = None) -> Tensor:
        """The state to go on from after so many frames that were not seen.

        Args:
            state: ``Inferred.state`` of the frames before them.
            steps: how many were not seen; at least 1.
            imagined: ``Inferred.state`` after pictures of what was expected instead. It warms up the
                network's part of the state (section 3.5); what is expected is as uncertain as without.
        """
        later = self.inference.unseen(state, self.dynamics(), steps)
        if imagined is None:
            return later
        size = self.config.state
        return torch.cat([imagined[..., :size], later[..., size:]], dim=-1)

    def to_pixels(self, places: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B 2"]:
        """Latent positions as places in the picture, x right and y down."""
        return places @ self.pixel_matrix.mT + self.pixel_offset

    def spread_to_pixels(self, covariances: Float[Tensor, "*B 2 2"]) -> Float[Tensor, "*B 2 2"]:
        """Covariances of latent positions in square pixels."""
        return self.pixel_matrix @ covariances @ self.pixel_matrix.mT

    @torch.no_grad()
    def calibrate(self) -> None:
        """Find the map to pixels: least squares from places to where the renderer draws one object there.

        Places count where the drawing is about as large as it usually is: outside the picture nothing useful
        is drawn.
        """
        axis = torch.linspace(-1.0, 1.0, GRID, device=self.pixel_offset.device) * self.config.scale
        places = torch.cartesian_prod(axis, axis)
        pixels = torch.arange(float(self.config.image_size), device=axis.device)
        drawn = self.render(places[:, None]).sigmoid().squeeze(-3).double()
        drawn = drawn * (drawn > 0.2 * drawn.max())
        mass = drawn.sum(dim=(-2, -1))
        usual = mass[mass > 0].median()
        kept = (mass > 0.7 * usual) & (mass < 1.3 * usual)
        x, y = (drawn.sum(dim=summed) @ pixels.double() / mass for summed in (-2, -1))
        ones = torch.ones_like(x[kept])
        known = torch.cat([places[kept].double(), ones[:, None]], dim=-1)
        solution = torch.linalg.lstsq(known, torch.stack([x, y], dim=-1)[kept]).solution
        self.pixel_matrix.copy_(solution[:2].mT)
        self.pixel_offset.copy_(solution[2])
        self._atlas = None

    def _check(self, frames: Tensor, objects: int) -> None:
        most, size = self.config.most_objects, self.config.image_size
        if not 1 <= objects <= most:
            raise ValueError(f"objects must be 1 to {most}, not {objects}")
        if frames.ndim != 5 or frames.shape[-3:] != (1, size, size) or frames.shape[1] < 1:
            raise ValueError(f"frames must be [B, T >= 1, 1, {size}, {size}], not {list(frames.shape)}")


@dataclass(frozen=True)
class KalmanState:
    """What is believed about the objects after the last frame."""

    means: Float[Tensor, "B N X"]
    """Positions and velocities in latent units, of the likeliest start component."""


class KalmanWorld(nn.Module):
    """The model with its number of objects fixed, as a :class:`~world_models.interface.WorldModel`.

    Nobody acts: decisions have size 0, and only say how far to look ahead. Features are N latent positions.

    Raises:
        ValueError: if the model does not know so many objects.
    """

    decision_dim = 0

    def __init__(self, model: Kalman, objects: int) -> None:
        super().__init__()
        if not 1 <= objects <= model.config.most_objects:
            raise ValueError(f"objects must be 1 to {model.config.most_objects}, not {objects}")
        self.model = model
        self.objects = objects

    def encode(self, context: Context) -> KalmanState:
        """Filter the positions that all frames seen speak for (section 3.4)."""
        inferred = self.model.infer(context.frames, self.objects)
        seen = self.model.track(context.frames, inferred.means)
        run = kalman_filter(self.model.dynamics(), seen)
        means, _ = run.filtered.at(-1).most_likely()
        return KalmanState(means)

    def imagine(self, state: KalmanState, decisions: Float[Tensor, "B L 0"]) -> Future:
        """Positions after 1 to L steps without noise."""
        model, mean, path = self.model.dynamics(), state.means, []
        for _ in range(decisions.shape[1]):
            mean = mean @ model.transition.mT + model.force
            path.append(mean @ model.emission.mT)
        features = torch.stack(path, dim=1).flatten(-2)
        times = torch.arange(1.0, len(path) + 1, device=features.device).expand(features.shape[:2])
        return Future(features, times)

    def embed(self, frames: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B F"]:
        """Positions inferred from single pictures; which object comes first is up to the network."""
        return self.model.infer(frames[:, None], self.objects).means.flatten(1)

    def decode(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B 1 H W"]:
        """Pictures of positions, in [0, 1]."""
        return self.model.draw(features.unflatten(-1, (self.objects, 2)))
