"""The interaction kinds that ship: every act and channel that the field scores."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop as _

from leads.models.interactions import Direction, InteractionKind


@dataclass(frozen=True)
class ShippedKind:
    slug: str
    name: str
    phrase: str
    channel: str
    direction: Direction = Direction.LEAD
    aliases: tuple[str, ...] = ()


LEAD, US, SYSTEM = Direction.LEAD, Direction.US, Direction.SYSTEM

# The aliases are the event names of the Segment specification and of common SDKs.
SHIPPED_KINDS = (
    # the web site and the app
    ShippedKind("page_viewed", _("Page opened"), _("open a page"), "web", aliases=("Page Viewed", "Loaded a Page")),
    ShippedKind("screen_viewed", _("Screen opened"), _("open a screen of the app"), "app", aliases=("Screen Viewed",)),
    ShippedKind("visit", _("Visit"), _("visit the site"), "web", aliases=("Session Started", "Application Opened")),
    ShippedKind("search", _("Search"), _("search for something"), "web", aliases=("Products Searched", "Site Search")),
    ShippedKind("form_submitted", _("Form submitted"), _("submit a form"), "web", aliases=("Form Submit", "Lead Captured")),
    ShippedKind("content_downloaded", _("Content downloaded"), _("download content"), "web", aliases=("Download", "File Downloaded")),
    ShippedKind("video_watched", _("Video watched"), _("watch a video"), "web", aliases=("Video Playback Completed", "Video Content Completed")),
    ShippedKind("pricing_viewed", _("Pricing opened"), _("open the pricing page"), "web"),
    ShippedKind("directions_viewed", _("Directions opened"), _("open the directions page"), "web"),
    ShippedKind("careers_viewed", _("Careers opened"), _("open the careers page"), "web"),
    ShippedKind("signed_up", _("Signed up"), _("sign up"), "web", aliases=("Account Created", "Signed Up")),
    ShippedKind("trial_requested", _("Trial requested"), _("ask for a trial"), "web", aliases=("Trial Started",)),
    ShippedKind("demo_requested", _("Demo requested"), _("ask for a demo"), "web"),
    # shopping
    ShippedKind("product_viewed", _("Product viewed"), _("look at a product"), "web", aliases=("Product Clicked", "Product List Viewed")),
    ShippedKind("product_added", _("Put in the cart"), _("put a product in the cart"), "web", aliases=("Cart Viewed", "Checkout Started")),
    ShippedKind("cart_abandoned", _("Cart abandoned"), _("leave a cart behind"), "web"),
    ShippedKind("purchase", _("Purchase"), _("buy"), "web", aliases=("Order Completed", "Order Placed", "Purchased")),
    ShippedKind("order_refunded", _("Order refunded"), _("get their money back"), "web"),
    # messages
    ShippedKind("subscribed", _("Subscribed"), _("subscribe to the newsletter"), "email", aliases=("Email Subscribed", "Newsletter Subscribed")),
    ShippedKind("message_opened", _("Message opened"), _("open a message"), "email", aliases=("Email Opened",)),
    ShippedKind("message_clicked", _("Message clicked"), _("click in a message"), "email", aliases=("Email Link Clicked", "Email Clicked")),
    ShippedKind("message_replied", _("Reply"), _("reply to a message"), "email", aliases=("Email Replied",)),
    ShippedKind("unsubscribed", _("Unsubscribed"), _("unsubscribe"), "email", aliases=("Unsubscribed", "Email Unsubscribed")),
    ShippedKind("complained", _("Marked as spam"), _("mark a message as spam"), "email", aliases=("Email Marked as Spam",)),
    ShippedKind("sms_replied", _("SMS reply"), _("reply by SMS"), "sms"),
    ShippedKind("message_sent", _("Message sent"), _("are sent a message"), "email", US, ("Email Sent",)),
    ShippedKind("message_delivered", _("Message delivered"), _("are delivered a message"), "email", SYSTEM, ("Email Delivered",)),
    ShippedKind("message_bounced", _("Message bounced"), _("bounce"), "email", SYSTEM, ("Email Bounced",)),
    # events, social, chat
    ShippedKind("event_registered", _("Event registration"), _("register for an event"), "event", aliases=("Webinar Registered",)),
    ShippedKind("webinar_attended", _("Webinar attended"), _("attend a webinar"), "event"),
    ShippedKind("event_attended", _("Event attended"), _("attend a live event"), "event"),
    ShippedKind("booth_visited", _("Booth visited"), _("visit the booth"), "event"),
    ShippedKind("social_followed", _("Followed on social media"), _("follow on social media"), "social"),
    ShippedKind("social_engaged", _("Social interaction"), _("like, share or comment"), "social"),
    ShippedKind("social_message", _("Direct message"), _("send a direct message"), "social"),
    ShippedKind("brand_mentioned", _("Mention"), _("mention the brand"), "social"),
    ShippedKind("review_written", _("Review"), _("write a review"), "web", aliases=("Product Reviewed",)),
    ShippedKind("chat_started", _("Chat"), _("start a chat"), "chat", aliases=("Live Chat Conversation Started",)),
    ShippedKind("ad_clicked", _("Ad clicked"), _("click an ad"), "ad", aliases=("Promotion Clicked",)),
    ShippedKind("survey_answered", _("Survey answered"), _("answer a survey"), "web"),
    # people talking to people
    ShippedKind("call_received", _("Call from them"), _("call"), "phone"),
    ShippedKind("call_made", _("Call"), _("are called"), "phone", US),
    ShippedKind("meeting_held", _("Meeting"), _("meet us"), "meeting", aliases=("Meeting Booked",)),
    ShippedKind("email_received", _("E-mail from them"), _("write an e-mail"), "email"),
    ShippedKind("email_sent", _("E-mail"), _("are written an e-mail"), "email", US),
    ShippedKind("note", _("Note"), _("are noted on"), "", US),
    # bookkeeping
    ShippedKind("identified", _("Made themselves known"), _("make themselves known"), "web", SYSTEM),
    ShippedKind("company_joined", _("Belongs to a company"), _("are put in a company"), "", SYSTEM),
    ShippedKind("adjustment", _("Manual adjustment"), _("are adjusted by hand"), "", US),
)  # fmt: skip


def add_shipped_kinds(**_: Any) -> None:
    """Add the shipped kinds that are missing; what marketers changed stays."""
    InteractionKind.objects.bulk_create(
        [
            InteractionKind(
                slug=kind.slug,
                name=kind.name,
                phrase=kind.phrase,
                direction=kind.direction,
                channel=kind.channel,
                aliases=list(kind.aliases),
            )
            for kind in SHIPPED_KINDS
        ],
        ignore_conflicts=True,
    )
