//! The lines to HQ and to the points of sale, and who is let in.

use tillbox::demo::http_server::Fault;

use super::{ALL_IS_WELL, Play};
use crate::lamps::Seen::{Fast, Off, Slow, Steady};

pub(super) fn act(play: &mut Play) {
    play.expect_first_session();
    play.shows("everything is at HQ", ALL_IS_WELL);
    to_hq(play);
    to_the_points_of_sale(play);
    from_the_start(play);
    refused_by_the_broker(play);
    with_a_faulty_config(play);
}

fn to_hq(play: &mut Play) {
    play.world.cut_line();
    (0..20).for_each(|_| play.world.sell());
    play.shows("HQ cannot be reached", [Slow, Steady, Off]);
    play.world.mend_line();
    play.shows("HQ is back", ALL_IS_WELL);

    play.world.kill_broker();
    (0..5).for_each(|_| play.world.sell());
    play.shows("the broker died", [Slow, Steady, Off]);
    play.world.start_broker();
    play.shows("the broker is back", ALL_IS_WELL);
}

fn to_the_points_of_sale(play: &mut Play) {
    play.world.street.cut();
    (0..5).for_each(|_| play.world.sell());
    play.shows("the POS cannot be reached", [Slow, Slow, Off]);
    play.world.street.heal();
    play.shows("the POS is back", ALL_IS_WELL);

    play.expect_proof("after all losses of a line HQ holds what the shops sold");
    fail_pos(play, Fault::Broken(401));
    (0..5).for_each(|_| play.world.sell());
    play.shows("the POS refuses the credentials", [Slow, Off, Steady]);
}

/// What was refused is not asked again for minutes; who comes because red is lit starts the program again.
fn from_the_start(play: &mut Play) {
    play.machine.run("stop");
    play.shows("the program does not run", [Off, Off, Off]);
    // Answers that do not come: the box is starting until it knows better, and then it waits for them.
    fail_pos(play, Fault::Slow(None));
    play.machine.run("start");
    play.shows("starting", [Fast, Off, Off]);
    play.shows("catching up", [Slow, Off, Off]);
    play.world.street.heal();
    play.shows("caught up", ALL_IS_WELL);
    play.expect_proof("what was sold while credentials were refused is at HQ");
}

fn refused_by_the_broker(play: &mut Play) {
    play.world.close_broker(true);
    (0..5).for_each(|_| play.world.sell());
    play.shows("the broker refuses the login", [Slow, Steady, Steady]);
    play.world.close_broker(false);
}

fn with_a_faulty_config(play: &mut Play) {
    play.restart("faulty");
    play.shows("the config cannot be used", [Off, Off, Steady]);
    play.machine.run("cp /etc/tillbox/tillbox.toml /etc/tillbox/faulty.toml");
    play.shows("the config is mended", ALL_IS_WELL);
    play.expect_proof("what was sold while the broker refused is at HQ");
}

fn fail_pos(play: &Play, fault: Fault) {
    play.world.street.shops().iter().for_each(|shop| shop.server().http().fail(fault));
}
