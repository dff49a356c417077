//! How the program ends, and what it says then.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use crate::parts::{shop::TOKEN, stage::Stage, tillbox::Setup};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_second_daemon_on_the_same_store_names_the_first_and_may_try_again() {
    let stage = Stage::new("broker");
    stage.shop.sell(1);
    let first = stage.start();
    stage.wait_for_books(&first);
    let mut second = stage.start();
    assert_eq!(second.wait(SOON).code(), Some(75));
    second.wait_for_line(&format!("in use by another tillbox (process {})", first.pid()));
    let log = second.log();
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn a_renamed_connection_is_refused_with_a_way_out() {
    let mut stage = Stage::new("broker");
    stage.shop.sell(1);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    stage.setup.connection = "till-1".to_owned();
    let mut renamed = stage.start();
    assert_eq!(renamed.wait(SOON).code(), Some(78));
    let log = renamed.log();
    assert!(log.lines().count() == 1 && log.contains("name it `front` again"), "{log}");
    assert!(log.contains("add `front` to retired-connections in [outbox]"), "{log}");
}

/// Row 16: a secret that is no good by now is what a technician comes for, and the running daemon tells how it stands.
#[test]
fn status_asks_the_daemon_also_where_a_secret_is_faulty_by_now() {
    let stage = Stage::new("broker");
    stage.shop.sell(1);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    let token = stage.path().join("qasir.token");
    fs::write(&token, "no token\n").expect("a file");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("a mode");
    let text = fs::read_to_string(&stage.setup.config).expect("the config");
    let line = text.lines().find(|line| line.starts_with("token = ")).expect("the token's line");
    fs::write(&stage.setup.config, text.replace(line, "token-file = \"qasir.token\"")).expect("the config");
    let status = stage.setup.run("status");
    let (said, complained) = (String::from_utf8_lossy(&status.stdout), String::from_utf8_lossy(&status.stderr));
    assert_eq!(status.status.code(), Some(0), "{said}{complained}");
    assert!(said.contains("outlet") && said.contains("front"), "{said}");
    for part in ["has a character that no token has, as number 3", "goes on with the config that it read at its start"]
    {
        assert!(complained.contains(part), "{part}: {complained}");
    }
    daemon.stop();
    assert_eq!(stage.setup.run("status").status.code(), Some(78), "nobody can be asked");
}

#[test]
fn a_config_with_five_mistakes_is_told_all_of_them_at_once() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let setup = setup(&folder);
    setup.write();
    let text = fs::read_to_string(&setup.config).expect("the config");
    let mut wrong = text.clone();
    let mistakes = [
        ("currency = \"IDR\"", "currency = \"RUPIAH\"", "currency"),
        ("timezone = \"Asia/Jakarta\"", "timezone = \"Asia/Djakarta\"", "timezone"),
        ("poll-every", "pol-every", "pol-every"),
        ("backfill = \"1d\"", "backfill = \"1 day\"", "backfill"),
        ("acknowledge = \"broker\"", "acknowledge = \"maybe\"", "acknowledge"),
    ];
    for (right, mistake, _) in mistakes {
        wrong = wrong.replacen(right, mistake, 1);
    }
    fs::write(&setup.config, &wrong).expect("the config");
    for command in ["check", "run"] {
        let output = setup.run(command);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // Each fault is a line, and two show the place.
        let faults = told.lines().filter(|line| line.starts_with(&*setup.config.to_string_lossy())).count();
        assert_eq!((output.status.code(), faults, told.lines().count()), (Some(78), 5, 15), "{told}");
        for (_, mistake, key) in mistakes {
            let (number, line) = wrong.lines().enumerate().find(|(_, line)| line.contains(mistake)).expect("a mistake");
            let place = format!("{}:{}:", setup.config.display(), number + 1);
            let fault =
                told.lines().find(|fault| fault.starts_with(&place)).unwrap_or_else(|| panic!("{line}: {told}"));
            let column = fault[place.len()..].split(':').next().and_then(|column| column.parse::<u32>().ok());
            assert!(column.is_some_and(|column| column > 0) && fault.contains(key), "{fault}");
        }
        assert!(!told.contains(TOKEN));
    }

    fs::write(&setup.config, text).expect("the config");
    let output = setup.run("check");
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(!String::from_utf8_lossy(&output.stdout).contains(TOKEN));
}

fn setup(folder: &tempfile::TempDir) -> Setup {
    let nowhere = crate::parts::broker::free_address();
    Setup::new(folder.path(), &format!("http://{nowhere}"), nowhere, "broker")
}
