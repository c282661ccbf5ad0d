from django.apps import AppConfig


class DasmonListenerConfig(AppConfig):
    name = "dasmon_listener"
    verbose_name = "What instruments report"
