"""Rows as JSON."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiTypes, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError

from leads import conditions
from leads.editing import IdentityTakenError, MergedAwayError, attribute_errors, change_contact
from leads.identity import IdentityError, normal_email, phone_key
from leads.models import (
    Campaign,
    Company,
    Contact,
    Identity,
    Interaction,
    InteractionKind,
    Segment,
    Source,
    Stage,
    StageChange,
)
from leads.models.users import validate_time_zone


class Merged(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "merged"


class CompanySerializer(serializers.ModelSerializer[Company]):
    source = serializers.SlugRelatedField[Source](slug_field="slug", read_only=True)  # type: ignore[assignment]

    class Meta:
        model = Company
        fields = [
            "id", "name", "domain", "external_id", "source", "industry", "type", "employees", "revenue",
            "country", "city", "phone", "attributes", "created_at", "updated_at",
        ]  # fmt: skip


class IdentitySerializer(serializers.ModelSerializer[Identity]):
    class Meta:
        model = Identity
        fields = ["kind", "namespace", "value", "verification", "created_at"]


class ContactSerializer(serializers.ModelSerializer[Contact]):
    name = serializers.CharField(read_only=True)
    company_name = serializers.CharField(source="company.name", read_only=True, allow_null=True, default=None)
    owner_name = serializers.CharField(source="owner", read_only=True, allow_null=True)
    source = serializers.SlugRelatedField[Source](slug_field="slug", read_only=True)  # type: ignore[assignment]
    campaign = serializers.SlugRelatedField[Campaign](slug_field="slug", read_only=True)
    attributes = serializers.DictField(required=False)

    class Meta:
        model = Contact
        writable = [
            "first_name", "last_name", "email", "phone", "job_title", "department", "seniority", "occupation",
            "country", "region", "city", "language", "time_zone", "company", "attributes",
        ]  # fmt: skip
        read_only_fields = [
            "id", "name", "company_name", "owner", "owner_name", "source", "campaign", "stage", "stage_at",
            "score", "scored_at", "last_active_at", "outcome", "outcome_at", "created_at", "updated_at",
            "known_at", "suppressed_at", "suppressed_reason", "archived_at", "merged_into",
        ]  # fmt: skip
        fields = [*read_only_fields[:2], *writable, *read_only_fields[2:]]

    def to_internal_value(self, data: Any) -> Any:
        """Refuses what cannot be set: to ignore it would look as if it had been stored."""
        if isinstance(data, Mapping):
            fixed = sorted(str(name) for name in set(data) - set(self.Meta.writable))
            if fixed:
                message = _("This cannot be set here; these can: %(names)s.") % {
                    "names": ", ".join(self.Meta.writable)
                }
                raise ValidationError({name: [message] for name in fixed})
        return super().to_internal_value(data)

    def validate_email(self, value: str) -> str:
        if not value:
            return value
        if self.instance is not None and not self.instance.is_known:
            raise ValidationError(
                _("This visitor has not said who they are; send an identify event with their anonymous id.")
            )
        try:
            return normal_email(value)
        except IdentityError as error:
            raise ValidationError(str(error)) from error

    def validate_phone(self, value: str) -> str:
        try:
            return value and phone_key(value) and value
        except IdentityError as error:
            raise ValidationError(str(error)) from error

    def validate_time_zone(self, value: str) -> str:
        if value:
            validate_time_zone(value)
        return value

    def validate_attributes(self, value: dict[str, Any]) -> dict[str, Any]:
        if errors := attribute_errors(value):
            raise ValidationError(errors)
        return value

    def update(self, instance: Contact, validated_data: Mapping[str, Any]) -> Contact:
        try:
            change_contact(instance.pk, validated_data)
        except MergedAwayError as error:
            raise Merged(str(error)) from error
        except IdentityTakenError as error:
            raise ValidationError({"email": [str(error)]}) from error
        instance.refresh_from_db()
        return instance


class ContactDetailSerializer(ContactSerializer):
    identities = IdentitySerializer(many=True, read_only=True)

    class Meta(ContactSerializer.Meta):
        fields = [*ContactSerializer.Meta.fields, "identities"]


class InteractionSerializer(serializers.ModelSerializer[Interaction]):
    source = serializers.SlugRelatedField[Source](slug_field="slug", read_only=True)  # type: ignore[assignment]
    campaign = serializers.SlugRelatedField[Campaign](slug_field="slug", read_only=True)

    class Meta:
        model = Interaction
        fields = [
            "id", "contact", "kind", "source", "campaign", "channel", "target", "keyword", "duration_s",
            "value", "currency", "sentiment", "properties", "occurred_at", "received_at",
        ]  # fmt: skip


class StageChangeSerializer(serializers.ModelSerializer[StageChange]):
    # As text: three names for one set of choices would need an entry in the schema's settings.
    before = serializers.CharField(read_only=True, help_text=", ".join(("blank", *Stage.values)))
    after = serializers.CharField(read_only=True, help_text=", ".join(Stage.values))

    class Meta:
        model = StageChange
        fields = ["id", "contact", "before", "after", "cause", "reason", "score", "by", "at"]


class KindSerializer(serializers.ModelSerializer[InteractionKind]):
    class Meta:
        model = InteractionKind
        fields = ["slug", "name", "phrase", "direction", "channel", "aliases"]


class SourceSerializer(serializers.ModelSerializer[Source]):
    class Meta:
        model = Source
        fields = ["slug", "name", "kind", "created_at"]


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    source = serializers.SlugRelatedField[Source](slug_field="slug", read_only=True)  # type: ignore[assignment]

    class Meta:
        model = Campaign
        fields = ["slug", "name", "source", "starts_on", "ends_on", "created_at"]


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    class Meta:
        model = Segment
        fields = ["slug", "name", "condition", "created_at"]


class SegmentDetailSerializer(SegmentSerializer):
    sentence = serializers.SerializerMethodField(help_text="The condition in words: “contacts where …”.")

    class Meta(SegmentSerializer.Meta):
        fields = [*SegmentSerializer.Meta.fields, "sentence"]

    @extend_schema_field(OpenApiTypes.STR)  # type: ignore[untyped-decorator]
    def get_sentence(self, segment: Segment) -> str:
        return conditions.describe(segment.condition)
