from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "webmon.ui"

    def ready(self) -> None:
        """Register the checks of the whole project; they belong to no area."""
        from webmon import checks  # noqa: F401, PLC0415
