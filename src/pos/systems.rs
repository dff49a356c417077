//! Which connector reads which connection.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    asalta::connector::Asalta,
    connector::{Begin, Connector, Terms},
    olsera::{documented::connector::Documented, open_api::connector::OpenApi},
    page::ParseContext,
    pos_kasir::connector::PosKasir,
    qasir::{self, connector::Qasir},
};
use crate::{
    checkpoint::reach::Reach,
    config::{Credentials, Outlet, Pos, System},
};

/// What a connection's config says to its connector.
#[must_use]
pub fn terms(outlet: &Outlet, pos: &Pos, now: DateTime<Utc>) -> Terms {
    Terms {
        context: ParseContext {
            connection: pos.name.clone(),
            outlet_zone: outlet.timezone.clone(),
            source_zone: pos.timezone.clone(),
            currency: pos.currency,
            business_day_starts: outlet.business_day_starts,
            observed_at: now,
        },
        poll_every: TimeDelta::from_std(pos.poll_every).unwrap_or(TimeDelta::hours(1)),
        backfill: backfill(pos),
    }
}

/// How far back a new store reads a connection, by its config.
#[must_use]
pub fn backfill(pos: &Pos) -> TimeDelta {
    TimeDelta::from_std(pos.backfill).unwrap_or(TimeDelta::days(3_650))
}

/// A connection's connector, as its system and its credentials choose it.
#[must_use]
pub fn connector(
    base_url: &str,
    system: System,
    credentials: &Credentials,
    terms: Terms,
    begin: Begin,
) -> Box<dyn Connector> {
    match system {
        System::Qasir => Box::new(Qasir::new(terms, begin)),
        System::Olsera => match credentials {
            Credentials::App { app_id, .. } => Box::new(OpenApi::new(terms, begin, app_id)),
            other => Box::new(Documented::new(terms, begin, other.account())),
        },
        System::PosKasir => {
            let plain_http = base_url.starts_with("http://");
            Box::new(PosKasir::new(terms, credentials, begin).over_plain_http(plain_http))
        }
        System::Asalta => Box::new(Asalta::new(terms, begin)),
    }
}

/// How far back a connection is read with this backfill.
#[must_use]
pub fn reach(system: System, backfill: TimeDelta) -> Reach {
    let history = match system {
        System::Qasir => Some(qasir::connector::HISTORY),
        // What these show is bounded by no span of time.
        System::Olsera | System::PosKasir | System::Asalta => None,
    };
    Reach { asked: history.map_or(backfill, |history| backfill.min(history)), history }
}

/// What a technician does when the source refuses the credential, in a few words.
#[must_use]
pub fn remedy(credentials: &Credentials, connection: &str) -> String {
    match credentials {
        Credentials::Bearer { .. } => format!("renew the token of connection `{connection}`"),
        Credentials::ApiKey { .. } => format!("renew the api-key of connection `{connection}`"),
        Credentials::App { .. } => format!("correct app-id and secret-key of connection `{connection}`"),
        Credentials::Login { .. } => format!("correct e-mail and password of connection `{connection}`"),
        Credentials::OAuth { .. } => format!("run `tillbox authorize --connection {connection}`"),
    }
}
