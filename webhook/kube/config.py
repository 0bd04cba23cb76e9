"""Where the cluster is, and who we are there: the `kubernetes` package's reading of kubeconfig and ServiceAccount."""

from __future__ import annotations

import os
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException, incluster_config, load_incluster_config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from webhook.kube.errors import ConfigError

DEFAULT_KUBECONFIG = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one cluster.

    configuration: its hooks renew the credential: a ServiceAccount's token is read again every minute, and a plugin is
    run again before what it gave expires.
    namespace: of the context or of the ServiceAccount, "default" where neither says one.
    """

    configuration: Configuration
    namespace: str


def load(kubeconfig: Path | None, context: str) -> Access:
    """The kubeconfig if one is given; else the pod's ServiceAccount; else $KUBECONFIG or ~/.kube/config.

    context: one of the kubeconfig's, "" for its current one; a named context means a kubeconfig, also in a pod.
    Raises ConfigError.
    """
    if kubeconfig is not None:
        return _from_kubeconfig(str(kubeconfig), context)
    in_pod = incluster_config.SERVICE_HOST_ENV_NAME in os.environ
    # A pod without a token (automountServiceAccountToken: false) may have a kubeconfig.
    if not context and in_pod and Path(incluster_config.SERVICE_TOKEN_FILENAME).is_file():
        return _from_service_account()
    return _from_kubeconfig(os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG, context)


def _from_service_account() -> Access:
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs has no types
        beside = Path(incluster_config.SERVICE_TOKEN_FILENAME).with_name("namespace")
        namespace = beside.read_text().strip() if beside.is_file() else "default"
    except (ConfigException, OSError) as error:
        raise ConfigError(f"the ServiceAccount of this pod cannot be used: {_sayable(error)}") from None
    return Access(configuration, namespace)


def _from_kubeconfig(place: str, context: str) -> Access:
    """place: a path, or several with ":" between them, merged as kubectl does."""
    # Errors lose what they come from: the package's texts can quote a whole entry, with its token or key.
    try:
        merged = KubeConfigMerger(place)  # type: ignore[no-untyped-call]  # as above
        if merged.config is None:
            raise ConfigError(
                f"no kubeconfig at {place}; name one with --kubeconfig or the variable KUBECONFIG, or run in a pod "
                f"that has a ServiceAccount token"
            )
        loader = KubeConfigLoader(  # type: ignore[no-untyped-call]  # as above
            config_dict=merged.config,
            active_context=context or None,
            config_base_path=None,  # relative paths are relative to the file that has them
            config_persister=merged.save_changes,
        )
        configuration = Configuration()
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]  # as above
        chosen = loader.current_context["context"]
        _check_plugin(merged.config, chosen.get("user"), configuration, place)
    except ConfigException as error:
        raise ConfigError(f"{place}: {_sayable(error)}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{place} is not YAML{f', line {mark.line + 1}' if mark else ''}") from None
    except OSError as error:
        raise ConfigError(f"{place}: {error.strerror}: {error.filename}") from None
    except (AttributeError, KeyError, TypeError, Base64Error) as error:
        raise ConfigError(
            f"{place} is no kubeconfig, or has an entry of a wrong form ({type(error).__name__}); "
            f"`kubectl config view` shows what is in it"
        ) from None
    return Access(configuration, chosen.get("namespace") or "default")


def _check_plugin(config: Any, user: str | None, configuration: Configuration, place: str) -> None:
    """Raise ConfigError when the user's credential plugin gave nothing.

    The package then logs an error and goes on as `system:anonymous`, whose 403s would tell nobody why.
    """
    entry = config["users"].get_with_name(user, safe=True) if user else None
    if entry is None or "exec" not in (entry["user"] or ()):
        return
    if not configuration.api_key and not configuration.cert_file:
        command = entry["user"]["exec"]["command"]
        raise ConfigError(
            f"{place}: the credential plugin {command!r} of user {user!r} gave no credential; run it by hand"
        )


def _sayable(error: Exception) -> str:
    """The first line of an exception's text, up to where it quotes an entry."""
    return str(error).partition("{")[0].strip().partition("\n")[0]
