//! The help of each command: what it does, its options, and the exit codes that it can end with.
//!
//! What all commands are stands in `tillbox --help`.

/// The help of the command that these words of a command line name; `None` if they name none.
pub fn of(said: impl Iterator<Item = String>) -> Option<&'static str> {
    let words: Vec<String> = said.take_while(|word| !word.starts_with('-')).take(2).collect();
    let of = |words: &[String]| {
        let command = words.join(" ");
        HELP.iter().find(|(known, _)| *known == command).map(|(_, help)| *help)
    };
    of(&words).or_else(|| of(words.get(..1)?))
}

const HELP: &[(&str, &str)] = &[
    ("run", RUN),
    ("provision", PROVISION),
    ("check", CHECK),
    ("status", STATUS),
    ("outbox", OUTBOX),
    ("outbox list", LIST),
    ("outbox show", SHOW),
    ("outbox export", EXPORT),
    ("outbox move", MOVE),
    ("outbox send", SEND),
    ("outbox gaps", GAPS),
    ("outbox close-gap", CLOSE_GAP),
    ("outbox dismiss", DISMISS),
    ("outbox take-over", TAKE_OVER),
    ("outbox same-account", SAME_ACCOUNT),
    ("authorize", AUTHORIZE),
    ("demo", DEMO),
];

const RUN: &str = "\
tillbox run: poll, keep and forward until SIGTERM

Usage: tillbox run [--config FILE] [--stay]

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --stay          show a config that cannot be used in red, and wait for a better one
  -h, --help      this text

The service runs `tillbox run --stay`. What it does is logged to the journal, or to standard error where there is
none.

Exit codes: 0 stopped as told, 70 a stage failed, 75 another tillbox has the store, 78 the config must be corrected.
";

const PROVISION: &str = "\
tillbox provision: take the config over from the card's boot partition

Usage: tillbox provision [--boot FOLDER] [--config FILE]

Options:
  --boot FOLDER   where to look for tillbox.toml; may be given again (default /boot/firmware and /boot)
  --config FILE   where the config goes (default /etc/tillbox/tillbox.toml)
  -h, --help      this text

The files that the config names and that lie beside it go with it. What was taken over is erased on the partition, and
tillbox-report.txt there says what was done or what must be corrected.

Exit codes: 0 taken over, or nothing was there; 74 the config is right and could not be stored, 78 it must be
corrected.
";

const CHECK: &str = "\
tillbox check: read the config and name every fault in it

Usage: tillbox check [--config FILE] [--online [--json]]

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --online        then try all that it names: clock, outbox, points of sale, brokers and the board's lines, a line each
  --json          with --online: answer with one JSON value
  -h, --help      this text

Each fault has its line and column, what was found and what to write; below it stands the line with a mark under the
place, without what may be a secret. A good config is told in a few lines, with what is doubtful in it.

With --online nothing changes on disk, and it may run beside the daemon, best as the same user. It logs in where a
point of sale has a login. At each broker it publishes hellos on the events' topics, as `tillbox-OUTLET-check`, and
where no daemon runs a status that says `checking`, which it takes back. It takes 30 s at most: what has no end by
then is left, with what it waited for.

Exit codes: 0 all is well or merely doubtful, 75 something does not answer now, 78 something must be corrected.
";

const STATUS: &str = "\
tillbox status: how the running box is doing, and what to do

Usage: tillbox status [--config FILE] [--json]

Options:
  --config FILE   the config file, which says where the store is (default /etc/tillbox/tillbox.toml)
  --json          answer with one JSON value
  -h, --help      this text

It asks the running daemon, as the same user.

Exit codes: 0 the daemon answered, 69 no tillbox runs, 75 it does not answer now, 78 the config must be corrected.
";

const OUTBOX: &str = "\
tillbox outbox: what waits for headquarters, and what a person may do about it

Usage: tillbox outbox COMMAND [OPTIONS]

Commands:
  list                what waits, what is not proven complete, what could not be read
  show NUMBER         one waiting event
  export              all waiting events, a line of JSON each
  move                give the box to the outlet that the config names
  send FOLDER         send a store that was set aside
  gaps                what is not proven complete and what could not be read, each with its handle
  close-gap HANDLE    close a gap that nothing can prove
  dismiss HANDLE      end a record that was put aside
  take-over           take the outlet back from another box that sends for it
  same-account NAME   the account that answers on a connection is the same shop's

Options:
  -h, --help      this text; `tillbox outbox COMMAND --help` tells more of each

list, show, export and gaps change nothing. They ask the running daemon, as the same user; while none runs they look
into the store itself, which a daemon cannot open meanwhile. move and send need the store for themselves; take-over,
same-account, close-gap and dismiss tell the running daemon, or the store. move, send, take-over and same-account say
first what they will do, and ask.
";

const LIST: &str = "\
tillbox outbox list: what waits for headquarters, what is not proven complete, what could not be read

Usage: tillbox outbox list [--config FILE] [--json] [--limit N]

Options:
  --config FILE   the config file, which says where the store is (default /etc/tillbox/tillbox.toml)
  --json          answer with one JSON value
  --limit N       name so many waiting events at most (default 50)
  -h, --help      this text

It changes nothing.

Exit codes: 0 done, 70 the store cannot be read, 75 the daemon does not answer now, 78 the config must be corrected.
";

const SHOW: &str = "\
tillbox outbox show: one waiting event, as it will be sent

Usage: tillbox outbox show NUMBER [--config FILE]

Options:
  --config FILE   the config file, which says where the store is (default /etc/tillbox/tillbox.toml)
  -h, --help      this text

`tillbox outbox list` tells the numbers. It changes nothing.

Exit codes: 0 done, 1 no such event waits, 70 the store cannot be read, 75 the daemon does not answer now, 78 the
config must be corrected.
";

const EXPORT: &str = "\
tillbox outbox export: all waiting events, a line of JSON each

Usage: tillbox outbox export [--config FILE] [--from N]

Options:
  --config FILE   the config file, which says where the store is (default /etc/tillbox/tillbox.toml)
  --from N        begin with this number (default 1)
  -h, --help      this text

It changes nothing.

Exit codes: 0 done, 70 the store cannot be read, 75 the daemon does not answer now, 78 the config must be corrected.
";

const MOVE: &str = "\
tillbox outbox move: give the box to the outlet that the config names

Usage: tillbox outbox move [--config FILE] [--set-aside] [--patience TIME] [--yes]

Options:
  --config FILE     the new outlet's config (default /etc/tillbox/tillbox.toml)
  --set-aside       send nothing now: the whole store goes into a folder of its own beside, to be sent later
  --patience TIME   how long the line is given without progress, such as 90s (default 2m)
  --yes             ask nobody
  -h, --help        this text

What waits is sent first, under the old name; then the new outlet begins with an empty store, and its points of sale
are read from their backfill. Stop the service first.

Exit codes: 0 done, 64 nobody said yes, 70 the store cannot be read, 75 not all could be sent or a daemon has the
store, 78 the config must be corrected.
";

const SEND: &str = "\
tillbox outbox send: send a store that was set aside

Usage: tillbox outbox send FOLDER --config OLD [--patience TIME] [--yes]

Options:
  --config OLD      the config of the outlet whose store it is (default /etc/tillbox/tillbox.toml)
  --patience TIME   how long the line is given without progress, such as 90s (default 2m)
  --yes             ask nobody
  -h, --help        this text

The service may run meanwhile. The folder has `.sent` behind its name when everything in it was delivered.

Exit codes: 0 all is delivered, 64 nobody said yes or no such store, 70 the store cannot be read, 75 not all could
be sent, 78 the config must be corrected.
";

const GAPS: &str = "\
tillbox outbox gaps: what is not proven complete, and what could not be read

Usage: tillbox outbox gaps [--config FILE] [--json]

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --json          answer with one JSON value
  -h, --help      this text

Each has the handle by which a person ends it: `tillbox outbox close-gap` and `tillbox outbox dismiss`. It changes
nothing. It asks the running daemon, as the same user; while none runs it looks into the store itself.

Exit codes: 0 told, 75 try again later, 78 the config must be corrected.
";

const CLOSE_GAP: &str = "\
tillbox outbox close-gap: close a gap that nothing can prove

Usage: tillbox outbox close-gap HANDLE --by NAME --reason TEXT [--config FILE]

Options:
  --by NAME       who closes it
  --reason TEXT   why
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  -h, --help      this text

Headquarters gets name and reason, and the day is never called complete by it. `tillbox outbox gaps` shows the
handles. It tells the running daemon, or the store; a second call says that it is done already, and by whom.

Exit codes: 0 done, 1 nothing has that handle, 64 usage, 75 try again later, 78 the config must be corrected.
";

const DISMISS: &str = "\
tillbox outbox dismiss: end a record that was put aside

Usage: tillbox outbox dismiss HANDLE --by NAME --reason TEXT [--config FILE]

Options:
  --by NAME       who dismisses it
  --reason TEXT   why
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  -h, --help      this text

Headquarters gets name and reason, and the day is never called complete by it. `tillbox outbox gaps` shows the
handles. It tells the running daemon, or the store; a second call says that it is done already, and by whom.

Exit codes: 0 done, 1 nothing has that handle, 64 usage, 75 try again later, 78 the config must be corrected.
";

const TAKE_OVER: &str = "\
tillbox outbox take-over: take the outlet back from another box that sends for it

Usage: tillbox outbox take-over [--config FILE] [--yes]

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --yes           ask nobody
  -h, --help      this text

What waits here leaves first, then a new stream begins and the other box stands back. Switch the other one off.

Exit codes: 0 ordered, 64 nobody said yes, 70 the store cannot be read, 75 the daemon does not answer now, 78 the
config must be corrected.
";

const SAME_ACCOUNT: &str = "\
tillbox outbox same-account: the account that answers on a connection is the same shop's, whatever its ids

Usage: tillbox outbox same-account NAME [--config FILE] [--yes]

Options:
  --config FILE   the config file (default /etc/tillbox/tillbox.toml)
  --yes           ask nobody
  -h, --help      this text

NAME is the connection's, as the config has it. If it is another shop's account, their sales would be mixed: then
give the connection another name instead.

Exit codes: 0 noted, 64 nobody said yes, 70 the store cannot be read, 75 the daemon does not answer now, 78 the
config has no such connection or must be corrected.
";

const AUTHORIZE: &str = "\
tillbox authorize: get Asalta's token, once: log in with a browser

Usage: tillbox authorize --connection NAME [--config FILE]

Options:
  --connection NAME   the connection to authorize, as the config names it
  --config FILE       the config file (default /etc/tillbox/tillbox.toml)
  -h, --help          this text

It prints an address to open, waits for the browser to come back, and writes the connection's token-file. Where the
browser is on another machine, the address to which it was sent back can be typed in.

Exit codes: 0 the token is written, 64 the command line cannot be understood, 70 it could not be written, 75 try
again, 78 the config must be corrected.
";

const DEMO: &str = "\
tillbox demo: the whole thing on this machine, a day of four shops in under a minute

Usage: tillbox demo [--seed N] [--sales N] [--sabotage drop-one] [--keep-running]

Options:
  --seed N              another day
  --sales N             so many sales
  --sabotage drop-one   lose one on purpose: the proof must find it
  --keep-running        stay when the day is over
  -h, --help            this text

Exit codes: 0 every sale arrived exactly as it was, 1 the proof failed.
";
