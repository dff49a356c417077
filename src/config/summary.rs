//! A config in a few lines, for `tillbox check`.

use std::fmt;

use super::{
    Acknowledge, Board, Config,
    unit::{duration_text, size_text},
};
use crate::board::profile::Profile;

impl Config {
    /// What the box will do, in a few lines, without secrets.
    #[must_use]
    pub fn summary(&self) -> String {
        Summary(self).to_string()
    }
}

struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { outlet, pos, hq, outbox, board } = self.0;
        write!(to, "outlet  {}", outlet.id)?;
        if let Some(name) = &outlet.name {
            write!(to, " ({name})")?;
        }
        let starts = outlet.business_day_starts.format("%H:%M");
        writeln!(to, ", {}, {}, days begin at {starts}", outlet.timezone.name(), outlet.currency)?;
        for pos in pos {
            let system = pos.system.name();
            let (every, back) = (duration_text(pos.poll_every), duration_text(pos.backfill));
            writeln!(
                to,
                "pos     {}: {system} at {}, every {every}, at most {} requests a minute, {back} back, {}, {}",
                pos.name,
                pos.base_url,
                pos.requests_per_minute,
                pos.timezone.name(),
                pos.currency,
            )?;
        }
        let brokers = hq.brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ");
        writeln!(to, "hq      {brokers}, topics below {}/{}", hq.topic_prefix, outlet.id)?;
        let word = match hq.acknowledge {
            Acknowledge::Feed => "kept until HQ's feed has stored it (acknowledge = \"feed\")",
            Acknowledge::Broker => "kept until the broker has it, no longer (acknowledge = \"broker\")",
        };
        writeln!(to, "        a sale is {word}")?;
        writeln!(to, "outbox  {}, at most {}", outbox.path.display(), size_text(outbox.max_bytes))?;
        match board {
            Board::None => writeln!(to, "board   none"),
            Board::Profile(Profile { name, lines }) => {
                let lines = lines.iter().map(|line| format!("{} {line}", line.role.name())).collect::<Vec<_>>();
                writeln!(to, "board   {name}: {}", lines.join(", "))
            }
        }
    }
}
