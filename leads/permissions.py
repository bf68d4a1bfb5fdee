"""Who may call the API: the model permissions of the user's groups, for reading too."""

from rest_framework.permissions import DjangoModelPermissions

VIEW = ["%(app_label)s.view_%(model_name)s"]


class ModelPermissions(DjangoModelPermissions):
    """Like DRF's, but reading needs the view permission; HEAD and OPTIONS tell nearly as much as GET."""

    perms_map = {**DjangoModelPermissions.perms_map, "GET": VIEW, "HEAD": VIEW, "OPTIONS": VIEW}
