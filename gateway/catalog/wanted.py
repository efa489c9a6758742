"""What the catalog should hold: one form for the file, the environment and what is built in."""

from dataclasses import dataclass, field

from gateway.catalog.entries import AliasConfig, ModelConfig, ProviderConfig


@dataclass(frozen=True, slots=True)
class WantedProvider:
    """A provider; one that isn't enabled is only there to be referred to."""

    kind: str
    config: ProviderConfig
    source: str
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class WantedModel:
    """A model with its endpoints, which stand in its configuration."""

    name: str
    config: ModelConfig
    source: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class WantedAlias:
    """An alias."""

    config: AliasConfig
    source: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything by its slug or id. `options` are the tables, as JSON, that the file sets."""

    providers: dict[str, WantedProvider] = field(default_factory=dict)
    models: dict[str, WantedModel] = field(default_factory=dict)
    aliases: dict[str, WantedAlias] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def under(self, upper: "Wanted") -> "Wanted":
        """Return both, where the upper one's objects replace ours whole."""
        return Wanted(
            providers={**self.providers, **upper.providers},
            models={**self.models, **upper.models},
            aliases={**self.aliases, **upper.aliases},
            options={**self.options, **upper.options},
        )
