"""The company list and the company page."""

from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode

from leads.models import Company, Contact

from .access import PageRequest, allowed

ROWS = 80


@allowed("leads.view_company")
def company_list(request: PageRequest) -> HttpResponse:
    """Companies by name; `?name=…&id=…` continues after that one."""
    companies = Company.objects.order_by("name", "pk")
    name, number = request.GET.get("name", "").replace("\0", ""), request.GET.get("id", "")
    continued = number.isascii() and number.isdigit() and len(number) < 19
    if continued:
        companies = companies.filter(TupleGreaterThan(Tuple(F("name"), F("pk")), (name, int(number))))
    rows = list(companies[: ROWS + 1])
    last = rows[ROWS - 1] if len(rows) > ROWS else None
    context = {
        "companies": rows[:ROWS],
        "continued": continued,
        "next": "?" + urlencode({"name": last.name, "id": str(last.pk)}) if last else "",
    }
    return render(request, "leads/company_list.html", context)


@allowed("leads.view_company")
def company_detail(request: PageRequest, company_id: int) -> HttpResponse:
    company = get_object_or_404(Company.objects.select_related("source"), pk=company_id)
    contacts: list[Contact] = []
    if request.user.has_perm("leads.view_contact"):
        people = Contact.objects.known().visible_to(request.user).filter(company=company)
        contacts = list(people.select_related("owner").order_by("-score", "-pk")[: ROWS + 1])
    context = {"company": company, "contacts": contacts[:ROWS], "more": len(contacts) > ROWS}
    return render(request, "leads/company_detail.html", context)
