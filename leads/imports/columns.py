"""What each column of a file means: by its name, unless the caller says otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from leads.imports.reading import NAME_LONGEST, FileError
from leads.resolution import TEXT_FIELDS
from leads.tracking.traits import COLUMNS as TRAITS
from leads.tracking.traits import bare

EXTERNAL_ID, OUTCOME, NAME, LEFT_OUT = "external_id", "outcome", "name", "-"
ATTRIBUTE, COMPANY = "attribute:", "company."
WHY = "why"
"""the column in which rejected rows carry their reason; a mended file is loaded without it"""

COMPANY_PARTS = {
    "name": "name", "domain": "domain", "external_id": "id", "industry": "industry", "type": "type",
    "employees": "employees", "revenue": "revenue", "country": "country", "city": "city", "phone": "phone",
}  # fmt: skip
"""field of a company → the trait it is read as"""

FIELDS = (
    *TEXT_FIELDS, NAME, EXTERNAL_ID, OUTCOME, *(f"{COMPANY}{part}" for part in COMPANY_PARTS),
    f"{ATTRIBUTE}NAME", LEFT_OUT,
)  # fmt: skip

BY_NAME = TRAITS | {
    "name": NAME, "fullname": NAME, "contactname": NAME, "emailaddress": "email", "mail": "email",
    "phonenumber": "phone", "telephone": "phone", "mobilephone": "phone", "cellphone": "phone",
    "company": "company.name", "companyname": "company.name", "organization": "company.name",
    "organisation": "company.name", "employer": "company.name", "account": "company.name",
    "accountname": "company.name", "companydomain": "company.domain", "website": "company.domain",
    "companywebsite": "company.domain", "industry": "company.industry", "companyindustry": "company.industry",
    "companytype": "company.type", "companysize": "company.employees", "employees": "company.employees",
    "numberofemployees": "company.employees", "annualrevenue": "company.revenue",
    "companyrevenue": "company.revenue",
    "companycountry": "company.country", "companycity": "company.city", "companyphone": "company.phone",
    "converted": OUTCOME, "outcome": OUTCOME,
    "이름": NAME, "성명": NAME, "성": "last_name", "이메일": "email", "전자우편": "email", "전화": "phone",
    "전화번호": "phone", "휴대폰": "phone", "휴대전화": "phone", "연락처": "phone", "직책": "job_title",
    "직함": "job_title", "부서": "department", "직업": "occupation", "국가": "country", "도시": "city",
    "지역": "region", "회사": "company.name", "회사명": "company.name", "업종": "company.industry",
}  # fmt: skip
"""names of columns, without signs and capitals → field"""


@dataclass(frozen=True)
class Column:
    """One column of the file and the field that it fills."""

    index: int
    name: str
    field: str

    @property
    def attribute(self) -> str:
        """The key of the attribute that it fills; blank when it fills something else."""
        return self.field.removeprefix(ATTRIBUTE) if self.field.startswith(ATTRIBUTE) else ""


def read_columns(header: Sequence[str], mapping: Mapping[str, str], key: str) -> list[Column]:
    """The columns that are kept. Raises `FileError` when the mapping does not fit the file or itself."""
    names = [name or _("column %(number)d") % {"number": place} for place, name in enumerate(header, 1)]
    for name in [*mapping, *([key] if key else [])]:
        if name not in names:
            raise FileError(
                _("There is no column “%(name)s” in the file; it has: %(known)s.")
                % {"name": name, "known": ", ".join(names)}
            )
    told = dict(mapping)
    if key:
        if told.get(key, EXTERNAL_ID) != EXTERNAL_ID:
            raise FileError(
                _("The column “%(name)s” is both the key and “%(field)s”; choose one.")
                % {"name": key, "field": told[key]}
            )
        told[key] = EXTERNAL_ID
    for name, field in told.items():
        _check_field(name, field)

    taken: dict[str, str] = {}
    for name, field in told.items():
        _take(taken, name, field)
    columns = []
    for index, name in enumerate(names):
        field = told.get(name) or _by_name(name, is_last=index == len(names) - 1)
        if name not in told:
            field = ATTRIBUTE + name if field in taken else field
            _take(taken, name, field)
        columns.append(Column(index, name, field))
    if "email" not in taken and EXTERNAL_ID not in taken:
        raise FileError(
            _(
                "No column says who each row is. "
                "Name the one with e-mails, --map COLUMN=email, or with ids, --key COLUMN."
            )
        )
    return [column for column in columns if column.field != LEFT_OUT]


def _take(taken: dict[str, str], name: str, field: str) -> None:
    """Note that a column fills the field. Raises `FileError` when another one does."""
    if field in taken:
        raise FileError(
            _("The columns “%(first)s” and “%(second)s” both go to “%(field)s”; map one to another field.")
            % {"first": taken[field], "second": name, "field": field}
        )
    if field != LEFT_OUT:
        taken[field] = name


def _by_name(name: str, is_last: bool) -> str:
    if is_last and name == WHY:
        return LEFT_OUT
    return BY_NAME.get(bare(name)) or ATTRIBUTE + name


def _check_field(name: str, field: str) -> None:
    if field.startswith(ATTRIBUTE):
        if 0 < len(field.removeprefix(ATTRIBUTE)) <= NAME_LONGEST:
            return
    elif field in FIELDS:
        return
    raise FileError(
        _("--map %(name)s=%(field)s: there is no field “%(field)s”. Use one of %(known)s.")
        % {"name": name, "field": field, "known": ", ".join(FIELDS)}
    )
