"""Who may log in and call the API: users, teams, roles, tokens."""

from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.authtoken.admin import TokenAdmin as RestTokenAdmin
from rest_framework.authtoken.models import TokenProxy
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from leads.models import Team, User
from leads.models.users import written_name

from .bases import ModelAdmin

if TYPE_CHECKING:
    BaseUserAdmin = DjangoUserAdmin[Any]

    class BaseTokenAdmin(ModelAdmin): ...

else:
    BaseUserAdmin = DjangoUserAdmin
    BaseTokenAdmin = RestTokenAdmin

# The admin names a row by its text, in titles and in the history; a token's would be the whole secret.
TokenProxy.__str__ = lambda token: f"…{token.key[-4:]}"  # type: ignore[method-assign, attr-defined]

admin.site.unregister(Group)
admin.site.unregister(TokenProxy)


class UserForm(UserChangeForm):  # type: ignore[misc]
    language = forms.ChoiceField(label=_("Language"), required=False, widget=UnfoldAdminSelectWidget)
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        choices: dict[str, list[tuple[str, Any]]] = {
            "language": [("", _("As the browser says")), *settings.LANGUAGES],
            "time_zone": [
                ("", _("The company's: %(zone)s") % {"zone": settings.TIME_ZONE}),
                *((zone, zone.replace("_", " ")) for zone in sorted(available_timezones())),
            ],
        }
        for name in choices.keys() & self.fields.keys():
            self.fields[name].choices = choices[name]


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):
    """People. Whoever leaves is switched off: what they decided stays with their name."""

    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "email", "team", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups", "team", "is_staff")
    list_select_related = ("team",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": (("first_name", "last_name"), "email", "team", ("language", "time_zone"))}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Record"), {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2")}),
        (_("Person"), {"fields": (("first_name", "last_name"), "email", "team")}),
        (_("Access"), {"fields": ("is_staff", "groups")}),
    )

    @admin.display(description=_("name"))
    def full_name(self, user: User) -> str:
        return written_name(user.first_name, user.last_name)

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all()))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).prefetch_related("groups")
        return rows

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        return tuple(fields) if request.user.is_superuser else (*fields, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody rises by changing, or by setting the password of, somebody who may do everything."""
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return super().has_change_permission(request, obj) and not above

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(Team)
class TeamAdmin(ModelAdmin):
    list_display = ("name", "people")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(number_of_people=Count("user"))
        return rows

    @admin.display(description=_("people"), ordering="number_of_people")
    def people(self, team: Any) -> int:
        return int(team.number_of_people)


@admin.register(TokenProxy)
class TokenAdmin(BaseTokenAdmin, ModelAdmin):
    """Tokens of programs that call the API as somebody. The token itself is shown once, when it is made."""

    list_display = ("user", "ends_with", "created")
    list_filter = ("created",)
    list_select_related = ("user",)
    autocomplete_fields = ("user",)

    @admin.display(description=_("token ends with"))
    def ends_with(self, token: Any) -> str:
        return str(token)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        tokens = super().get_queryset(request)
        return tokens if request.user.is_superuser else tokens.filter(user__is_superuser=False)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Nobody rises by making a token of somebody who may do everything."""
        if not request.user.is_superuser:
            options["queryset"] = User.objects.filter(is_superuser=False)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        message = gettext("The token is %(key)s – copy it now, it is not shown again.") % {"key": obj.key}
        self.message_user(request, message, messages.WARNING)
        return self.response_post_save_add(request, obj)
