//! What is played, in its order: each act leaves a box that runs and has nothing to send.

use std::time::{Duration, Instant};

use super::{Card, OFF, PATIENCE, STEADY, TOKEN, Unit};
use crate::wait::{pass, until};

/// `WatchdogSec`, the time that a process has to end by itself, and `RestartSec`; twice, as the machine is emulated.
const WATCHDOG_MAX: Duration = Duration::from_secs(2 * (60 + 15 + 10));

/// For how long an idle box is watched.
const IDLE: Duration = Duration::from_secs(60);

/// A start that must not come would have come within this: more than twice `RestartSec`.
const NO_START: Duration = Duration::from_secs(25);

/// The exposure that `tests/units/run` allows, here of the unit that runs.
const EXPOSURE_TENTHS_MAX: u32 = 13;

/// The lines of a Raspberry Pi 4's green and red light, and of the one that tells a printer to go on.
const GREEN: u32 = 17;
const RED: u32 = 22;
const RECEIPT_READY: u32 = 23;

/// Where the config belongs.
const CONFIG: &str = "/etc/tillbox/tillbox.toml";

/// Another way to start the unit, until the power goes.
const DROP_IN: &str = "/run/systemd/system/tillbox.service.d";

/// The folder of the unit's control group.
const GROUP: &str = "/sys/fs/cgroup/system.slice/tillbox.service";

impl Unit {
    /// A flashed card, one file on it and what it names: sales reach HQ.
    pub(super) fn first_boot(&mut self) -> bool {
        println!("first boot of a flashed card with tillbox.toml on its boot partition:");
        let config = self.config();
        self.card.put("tillbox.toml", &config);
        self.card.put("qasir.token", &format!("{TOKEN}\r\n"));
        (0..10).for_each(|_| self.world.sell());
        self.power_on();
        let on_since = self.machine().on_since;
        let born = until(PATIENCE, || self.world.is_new_session());
        let at_hq = on_since.elapsed();
        let sold = until(PATIENCE, || self.world.at_hq(|holdings| !holdings.states.is_empty()));
        let first = on_since.elapsed();
        self.expect(born.is_ok() && sold.is_ok(), "the first sale reaches HQ");
        println!(
            "       power → box at HQ {} ms, → first sale at HQ {} ms, emulated",
            at_hq.as_millis(),
            first.as_millis()
        );
        if first > PATIENCE {
            return false;
        }
        self.sales_flow("HQ holds what the shops sold");
        let chain = self
            .run("systemd-analyze | head -n 1; systemd-analyze critical-chain --no-pager tillbox.service | tail -n +4");
        println!("{}", quoted(&chain));

        self.expect_said("systemctl is-active tillbox", |said| said == "active", "tillbox.service is active");
        self.expect_said("systemctl show -P Type,NotifyAccess tillbox", |said| said == "notify\nmain", "it notified");
        let provisioned = self.property("tillbox-provision", "ExecMainExitTimestampMonotonic");
        let started = self.property("tillbox", "ExecMainStartTimestampMonotonic");
        let before = provisioned.parse::<u64>().ok().zip(started.parse::<u64>().ok());
        self.expect(before.is_some_and(|(a, b)| 0 < a && a < b), "tillbox-provision.service ended before it started");
        self.expect_said(
            "stat -c '%a %U:%G %n' /etc/tillbox /etc/tillbox/*",
            |said| {
                let owned = "600 tillbox:tillbox";
                said == format!("750 root:tillbox /etc/tillbox\n{owned} /etc/tillbox/qasir.token\n{owned} {CONFIG}")
            },
            "the config and its token are the daemon's, and nobody else reads them",
        );
        self.boot_partition_is_clean();
        true
    }

    /// What the technician's computer shows when the card is put into it again.
    fn boot_partition_is_clean(&mut self) {
        let names = self.card.names();
        self.expect(names == ["tillbox-report.txt"], &format!("the boot partition holds the report alone: {names:?}"));
        let report = self.card.read("tillbox-report.txt");
        self.expect(report.contains("has taken over the settings"), "the report says that they were taken over");
        // An earlier version that a computer replaced may lie in the free space: the box has never seen where.
        let remains = self.card.holds(TOKEN) || self.card.holds("\npoll-every");
        self.expect(!remains, "the bytes of the token and of the config are gone from the partition");
    }

    /// What the unit file asks for is in force.
    pub(super) fn sandbox(&mut self) {
        println!("the sandbox, as the kernel has it:");
        let pid = self.number("MainPID");
        self.expect_said(
            &format!("grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd|CapPrm):' /proc/{pid}/status | tr -s '\\t\\n' '  '"),
            |said| {
                let none = "0000000000000000";
                said == format!("CapPrm: {none} CapEff: {none} CapBnd: {none} NoNewPrivs: 1 Seccomp: 2")
            },
            "no capabilities, no new privileges, system calls filtered",
        );
        self.expect_said(&format!("stat -c %U /proc/{pid}"), |said| said == "tillbox", "it runs as the user tillbox");
        self.expect_said(
            &format!("cat {GROUP}/memory.max {GROUP}/memory.high {GROUP}/pids.max; cat /proc/{pid}/oom_score_adj"),
            |said| said == "167772160\n100663296\n96\n-500",
            "160 MiB of memory, 96 MiB softly, 96 tasks, and others go first when memory ends",
        );
        let inside = format!("nsenter -t {pid} -m");
        self.expect_said(
            &format!("{inside} touch /usr/x /etc/tillbox/x /var/lib/tillbox/x; true"),
            |said| said.matches("Read-only file system").count() == 2 && said.lines().count() == 2,
            "of programs, config and store only the store can be written,",
        );
        let places = ["/dev/shm", "/run/tillbox", "/tmp", "/var/lib/tillbox", "/var/tmp"];
        self.expect_said(
            &format!("awk '{{ print $5, $6 }}' /proc/{pid}/mountinfo"),
            |said| {
                let mounts: Vec<_> = said.lines().filter_map(|line| line.split_once(' ')).collect();
                let has = |place: &str, option: &str| {
                    let mount = mounts.iter().rfind(|(path, _)| *path == place);
                    mount.is_some_and(|(_, options)| options.split(',').any(|known| known == option))
                };
                has("/", "ro") && places.iter().all(|place| has(place, "rw") && has(place, "noexec"))
            },
            "and nothing is executed from where something can be written",
        );
        self.expect_said(
            &format!("{inside} ls /boot | wc -l"),
            |said| said.ends_with('0'),
            "the boot partition is not seen",
        );
        self.expect_said(
            &format!(
                "(echo $BASHPID >{GROUP}/cgroup.procs; : </dev/gpiochip0 && head -c 1 /dev/vda; head -c 1 /dev/kmsg); true"
            ),
            |said| said.matches("Operation not permitted").count() == 2 && said.lines().count() == 2,
            "of all devices it may open the GPIO chips alone",
        );
        self.expect_said(
            "stat -c '%a %G' /dev/gpiochip*",
            |said| said.lines().all(|line| line == "660 gpio"),
            "chips are the group's",
        );
        let exposure = self.expect_said(
            &format!(
                "systemd-analyze security --no-pager --threshold={EXPOSURE_TENTHS_MAX} tillbox.service | tail -n 1; \
                 [ ${{PIPESTATUS[0]}} = 0 ]"
            ),
            |said| said.contains("exposure level") && !said.contains("exit code"),
            "it is as closed as the unit file says:",
        );
        println!("       {}", exposure.trim());
        self.expect_said(
            "journalctl -b --no-pager -o cat | grep -iE 'type=1326|apparmor=\"DENIED|status=31/SYS' || true",
            str::is_empty,
            "the journal knows of nothing that was denied or killed for it",
        );
        self.shows(GREEN, STEADY, "green is steady: everything is at HQ");
        self.shows(RED, OFF, "red is off");
        self.shows(RECEIPT_READY, STEADY, "receipt-ready is on");
    }

    /// What a technician asks, and what the journal tells.
    pub(super) fn technician(&mut self) {
        println!("a technician asks:");
        let status = self.expect_said("tillbox status", |said| said.contains("cafe"), "root asks for the status");
        println!("{}", quoted(&status));
        let own = "runuser -u tillbox -- tillbox";
        self.expect_said(&format!("{own} status"), |said| said.contains("cafe"), "the daemon's own user asks for it");
        self.expect_said(
            "! runuser -u nobody -- tillbox status",
            |said| !said.contains("exit code"),
            "no other user does",
        );
        let check = self.expect_said(
            &format!("{own} check --online"),
            |said| {
                said.lines().count() > 4
                    && said.lines().all(|line| line.starts_with("ok ") || line.starts_with("warn "))
            },
            "`check --online` finds nothing to be corrected, beside the running daemon",
        );
        println!("{}", quoted(&check));
        self.expect_said("tillbox check --online >/dev/null", str::is_empty, "root may ask for it as well");
        self.expect_said(
            "journalctl -b -u tillbox -o json --no-pager | grep -F 'is running'",
            |said| {
                let entry: serde_json::Value = serde_json::from_str(said).unwrap_or_default();
                entry["F_OUTLET"] == "box-001" && entry["TARGET"] == "tillbox::daemon"
            },
            "the journal's entries have fields",
        );
        self.expect_said(
            "journalctl -b --no-pager -o cat -p warning -u tillbox -u tillbox-provision",
            |said| said.is_empty() || said == "-- No entries --",
            "a healthy start warns of nothing",
        );
        self.expect_said(
            &format!("journalctl -b --no-pager -o json | grep -c {TOKEN}; true"),
            |said| said == "0",
            "no secret is in the journal",
        );
    }

    /// What the unit costs while nothing happens.
    pub(super) fn idle(&mut self) {
        pass(Duration::from_secs(10));
        let (before, begun) = (self.number("CPUUsageNSec"), Instant::now());
        pass(IDLE);
        let (used, span) = (self.number("CPUUsageNSec") - before, begun.elapsed().as_nanos());
        let per_mille = u128::from(used) * 1000 / span;
        println!("idle, polling 2 connections every 15 s, emulated:");
        println!("       processor {}.{} % of a core", per_mille / 10, per_mille % 10);
        let memory = self.number("MemoryCurrent") / 1024;
        let pid = self.number("MainPID");
        let resident = self.run(&format!("grep -E 'VmRSS|RssAnon|VmHWM' /proc/{pid}/status | tr -s '\\t\\n' '  '"));
        println!("       the unit's MemoryCurrent {memory} KiB; {}", resident.trim());
    }

    /// Whatever ends the daemon, systemd starts it anew, and HQ holds everything.
    pub(super) fn ends(&mut self) {
        println!("the daemon ends:");
        let pid = self.number("MainPID");
        self.run(&format!("kill -STOP {pid}"));
        self.world.sell();
        let again = self.started_again(pid, WATCHDOG_MAX);
        self.expect(again.is_some(), "one that hangs is ended by the watchdog and started again");
        println!("       after {} s", again.unwrap_or_default().as_secs());
        self.expect_said(
            "journalctl -b --no-pager -o cat -u tillbox | grep -i watchdog",
            |said| said.contains("Watchdog timeout"),
            "the journal says that it was the watchdog",
        );
        self.sales_flow("sales flow after it");

        let pid = self.number("MainPID");
        self.run(&format!("kill -KILL {pid}"));
        self.world.sell();
        let again = self.started_again(pid, PATIENCE);
        self.expect(
            again.is_some_and(|again| again > Duration::from_secs(8)),
            "one that is killed is started again after RestartSec",
        );
        println!("       after {} s", again.unwrap_or_default().as_secs());
        self.sales_flow("sales flow after it");
        let restarts = self.number("NRestarts");
        self.expect(restarts == 2, &format!("systemd counts 2 restarts: {restarts}"));

        let before = Instant::now();
        self.run("systemctl stop tillbox");
        println!("       an ordered stop takes {} ms", before.elapsed().as_millis());
        self.expect_said("systemctl show -P Result tillbox", |said| said == "success", "an ordered stop is a success");
        let dark = [GREEN, RED, RECEIPT_READY].map(|line| self.lit(line));
        self.expect(dark == [0, 0, 0], "its lines are dark then");
        self.run("systemctl start tillbox");
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "and it starts again");
    }

    /// A config that is spoilt in its place: with `--stay` red says so; without it the unit ends with 78 and stays so.
    pub(super) fn configs(&mut self) {
        println!("the config is spoilt in its place:");
        self.run(&format!("cp -p {CONFIG} /run/good.toml; echo 'pol-every = 1' >>{CONFIG}; systemctl restart tillbox"));
        let (pid, restarts) = (self.number("MainPID"), self.number("NRestarts"));
        self.shows(RED, STEADY, "red is steady");
        self.expect_said(
            "systemctl is-active tillbox",
            |said| said == "active",
            "the unit is active, and says what is wrong:",
        );
        println!("       {}", self.property("tillbox", "StatusText"));
        self.run(&format!("cp -p /run/good.toml {CONFIG}"));
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "corrected, it is taken up by itself");
        let same = self.number("MainPID") == pid && self.number("NRestarts") == restarts;
        self.expect(same, "by the same process");
        self.shows(RED, OFF, "red is off");

        self.run(&format!(
            "mkdir -p {DROP_IN}; printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/tillbox run\\n' >{DROP_IN}/no-stay.conf; \
             systemctl daemon-reload"
        ));
        self.run(&format!("echo 'pol-every = 1' >>{CONFIG}; systemctl restart tillbox; true"));
        pass(NO_START);
        self.expect_said(
            "systemctl show -P NRestarts,ExecMainStatus,ActiveState tillbox | tr '\\n' ' '",
            |said| said.split_whitespace().eq(["0", "78", "failed"]),
            "without --stay it ends with 78, and is not started again",
        );
        self.run(&format!(
            "cp -p /run/good.toml {CONFIG}; rm -r {DROP_IN}; systemctl daemon-reload; systemctl restart tillbox"
        ));
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "corrected and started, it is back");
        self.sales_flow("sales flow after it");
    }

    /// A technician who is at the box changes the file on the partition without switching anything off.
    pub(super) fn provisioned_again(&mut self) {
        println!("the boot partition of a running box is given another config:");
        let boot = "/boot/firmware";
        self.run(&format!(
            "sed 's/\"15s\"/\"10s\"/' {CONFIG} >{boot}/tillbox.toml; cp /etc/tillbox/qasir.token {boot}; \
             systemctl restart tillbox-provision tillbox"
        ));
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "`systemctl restart tillbox-provision tillbox` starts it anew");
        self.expect_said(&format!("grep -c '\"10s\"' {CONFIG}"), |said| said == "2", "with what stood there");
        self.expect_said(&format!("ls {boot}"), |said| said == "tillbox-report.txt", "and the partition is clean");
        self.expect_said(
            "stat -c '%U %a' /run/tillbox",
            |said| said == "tillbox 755",
            "the run-time folder is the daemon's",
        );
        self.sales_flow("sales flow after it");
    }

    /// The power goes in the middle of it.
    pub(super) fn power_cut(&mut self) {
        println!("the power is cut while sales flow:");
        for _ in 0..30 {
            self.world.sell();
            pass(Duration::from_millis(500));
        }
        self.cut_power();
        (0..5).for_each(|_| self.world.sell());
        self.power_on();
        let on_since = self.machine().on_since;
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "the box comes back by itself");
        println!("       power → box at HQ {} ms, emulated", on_since.elapsed().as_millis());
        self.sales_flow("nothing is lost");
        self.expect_said(
            "systemctl show -P Result tillbox-provision",
            |said| said == "success",
            "provisioning had nothing to do",
        );
    }

    /// A technician puts a faulty file on the card, reads the report, and corrects it.
    pub(super) fn faulty_file(&mut self) {
        println!("a faulty tillbox.toml on the card of a box that runs:");
        self.cut_power();
        let (good, token) = (self.config(), format!("{TOKEN}\n"));
        self.card.put("tillbox.toml", &good.replace("poll-every", "pol-every"));
        self.card.put("qasir.token", &token);
        self.power_on();
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "the box goes on with the config that it has");
        self.sales_flow("sales flow");
        self.shows(RED, STEADY, "red is steady");
        self.expect_said(
            "systemctl show -P ExecMainStatus,ActiveState tillbox-provision | tr '\\n' ' '",
            |said| said.split_whitespace().eq(["78", "failed"]),
            "tillbox-provision.service failed with 78",
        );
        self.expect_said(
            "tillbox status",
            |said| said.contains("boot partition"),
            "the status names the boot partition",
        );
        self.cut_power();
        self.told_in_the_report();

        self.corrected(&good);
    }

    /// The computer puts the right file on the card.
    fn corrected(&mut self, good: &str) {
        println!("it is corrected:");
        self.card.put("tillbox.toml", good);
        self.power_on();
        let born = until(PATIENCE, || self.world.is_new_session()).is_ok();
        self.expect(born, "the box comes up");
        self.sales_flow("HQ holds what the shops sold, each sale once");
        self.shows(RED, OFF, "red is off");
        self.boot_partition_is_clean();
    }

    fn told_in_the_report(&mut self) {
        let mut names = self.card.names();
        names.sort();
        self.expect(
            names == ["qasir.token", "tillbox-report.txt", "tillbox.toml"],
            &format!("the files stay, and a report beside them: {names:?}"),
        );
        let report = self.card.read("tillbox-report.txt");
        let fault = report.lines().find(|line| line.contains("pol-every")).unwrap_or_default();
        self.expect(fault.starts_with("tillbox.toml:"), &format!("the report says: {}", fault.trim()));
    }

    /// A new card whose file is faulty: there is no config to go on with.
    pub(super) fn new_card(&mut self) {
        println!("a new card whose tillbox.toml is faulty:");
        self.cut_power();
        self.card = Card::flash(&self.parts.made.join("debian/card.img"), self.parts.card());
        let good = self.config();
        self.card.put("tillbox.toml", &good.replace("poll-every", "pol-every"));
        self.card.put("qasir.token", TOKEN);
        self.power_on();
        self.shows(RED, STEADY, "red is steady");
        self.expect_said("systemctl is-active tillbox", |said| said == "active", "the unit waits for a config");
        self.cut_power();
        self.told_in_the_report();
        self.corrected(&good);
    }
}

/// What the guest said, as it stands in the run's output.
fn quoted(said: &str) -> String {
    said.trim_end().lines().map(|line| format!("       | {line}")).collect::<Vec<_>>().join("\n")
}
