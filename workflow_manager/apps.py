from django.apps import AppConfig


class WorkflowManagerConfig(AppConfig):
    name = "workflow_manager"
    default_auto_field = "django.db.models.BigAutoField"
