"""The channels of one deployment, as its settings make them; and whether the settings fit what the files ask for."""

from collections.abc import Mapping

from services.notifier.channels import Channel
from services.notifier.channels.alertmanager import Alertmanagers
from services.notifier.channels.apprise import Apprises
from services.notifier.channels.email import Emails
from services.notifier.channels.guard import Guard
from services.notifier.channels.log import Logs
from services.notifier.channels.outgoing import Outgoing
from services.notifier.channels.webhook import Webhooks, check_targets
from services.notifier.channels.wording import Wording
from services.notifier.lists.addresses import CheckUrl
from services.notifier.rules.alert_rules import AlertRules
from services.notifier.settings import NotifierSettings
from shared.failures import BadStart
from shared.partners import NoticeChannel, Partners

ALERTMANAGER, LOG = "alertmanager", "log"


def guard_of(settings: NotifierSettings) -> Guard:
    """Which addresses may be asked."""
    return Guard(settings.own_networks, allow_http=settings.webhooks_allow_http)


def check_url(settings: NotifierSettings) -> CheckUrl:
    """What is wrong with an address of a recipient's system."""
    return guard_of(settings).why_not


def open_alertmanagers(settings: NotifierSettings) -> Alertmanagers:
    """The channel that posts again what burns."""
    return Alertmanagers(Outgoing(guard_of(settings)))


def open_channels(
    settings: NotifierSettings, alertmanagers: Alertmanagers, wording: Wording
) -> Mapping[NoticeChannel, Channel]:
    """Every channel that this deployment has; nothing is opened before something is sent."""
    logs = Logs()
    channels: dict[NoticeChannel, Channel] = {
        NoticeChannel.WEBHOOK: Webhooks(Outgoing(guard_of(settings))),
        NoticeChannel.ALERTMANAGER: alertmanagers,
        NoticeChannel.APPRISE: logs if settings.people_by_log else Apprises(wording),
        NoticeChannel.LOG: logs,
    }
    if settings.people_by_log:
        channels[NoticeChannel.EMAIL] = logs
    elif settings.smtp is not None:
        channels[NoticeChannel.EMAIL] = Emails(settings.smtp, wording)
    return channels


def lacking(settings: NotifierSettings) -> Mapping[str, str]:
    """The channels that this deployment does not have, of those that a subscription can name, and what to set."""
    if settings.smtp is not None or settings.people_by_log:
        return {}
    return {NoticeChannel.EMAIL: "No e-mail is sent from here: ROGATORY_SMTP is not set."}


def systems(settings: NotifierSettings) -> Mapping[str, str]:
    """The addresses of an audience's systems."""
    return {LOG: ""} | ({ALERTMANAGER: settings.alertmanager} if settings.alertmanager else {})


def check(settings: NotifierSettings, partners: Partners, rules: AlertRules) -> None:
    """Whether everybody whom the files name can be told; raises `BadStart` with the setting that lacks."""
    check_targets(settings.webhooks, partners, settings.webhooks_allow_http)
    why_not = check_url(settings)
    for name, target in settings.webhooks.items():
        if why := why_not(target.url):
            raise BadStart(f"ROGATORY_WEBHOOKS: the address of {name}: {why[0].lower()}{why[1:]}".rstrip("."))
    if settings.alertmanager and (why := why_not(settings.alertmanager)):
        raise BadStart(f"ROGATORY_ALERTMANAGER: {why[0].lower()}{why[1:]}".rstrip("."))
    told = [member for audience in rules.audiences.values() for member in audience.members]
    told += [member for ladder in rules.ladders.values() for step in ladder.steps for member in step.tell]
    by_mail = any(NoticeChannel.EMAIL in member.by for member in told)
    if by_mail and settings.smtp is None and not settings.people_by_log:
        raise BadStart("ROGATORY_SMTP is not set, and the alerts file tells people by email")
    known = systems(settings)
    for member in told:
        if member.system is not None and member.system not in known:
            raise BadStart(f"ROGATORY_ALERTMANAGER is not set, and the alerts file tells the system {member.system}")
