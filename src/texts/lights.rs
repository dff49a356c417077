//! What the lights mean and what to do, for the page and the cashier's card.
//!
//! The card knows no box, so its words are true of each, whichever way the sales go and whatever the cause is. Page and
//! `tillbox status` name the cause: see [`told`](crate::overview::told).

use super::{Advice, Text, texts};
use crate::{
    board::profile::Light,
    signal::{Lights, Pattern},
};

/// A light's colour in words.
#[must_use]
pub fn colour(light: Light) -> Text {
    match light {
        Light::Sync => Text::new("Green", "Hijau"),
        Light::Hold => Text::new("Yellow", "Kuning"),
        Light::Fault => Text::new("Red", "Merah"),
    }
}

/// A pattern in words.
#[must_use]
pub fn pattern(pattern: Pattern) -> Text {
    match pattern {
        Pattern::Off => Text::new("off", "mati"),
        Pattern::Steady | Pattern::SteadyWink => Text::new("steady", "menyala terus"),
        Pattern::Slow => Text::new("blinks slowly", "berkedip pelan"),
        Pattern::Fast => Text::new("blinks fast", "berkedip cepat"),
    }
}

/// The light that says most: red before yellow before green.
#[must_use]
pub fn gravest(lights: Lights) -> Light {
    match lights {
        Lights { fault, .. } if fault != Pattern::Off => Light::Fault,
        Lights { hold, .. } if hold != Pattern::Off => Light::Hold,
        _ => Light::Sync,
    }
}

/// What a light means when it is lit in a way, and what to do.
#[must_use]
pub fn advice(light: Light, pattern: Pattern) -> Advice {
    match (light, pattern) {
        (Light::Sync, Pattern::Off) => SYNC_OFF,
        (Light::Sync, Pattern::Steady | Pattern::SteadyWink) => SYNC_STEADY,
        (Light::Sync, Pattern::Slow) => SYNC_SLOW,
        (Light::Sync, Pattern::Fast) => SYNC_FAST,
        (Light::Hold, Pattern::Off) => HOLD_OFF,
        (Light::Hold, Pattern::Steady | Pattern::SteadyWink) => HOLD_STEADY,
        (Light::Hold, Pattern::Slow) => HOLD_SLOW,
        (Light::Hold, Pattern::Fast) => HOLD_FAST,
        (Light::Fault, Pattern::Off) => FAULT_OFF,
        (Light::Fault, Pattern::Steady | Pattern::SteadyWink) => FAULT_STEADY,
        (Light::Fault, Pattern::Slow) => FAULT_SLOW,
        (Light::Fault, Pattern::Fast) => FAULT_FAST,
    }
}

texts! {
    ALL_AT_HQ = "All sales are at headquarters.", "Semua penjualan sudah sampai di kantor pusat.";
    ALL_WITH_BROKER = "All sales are with the broker.", "Semua penjualan sudah diterima broker.";
    READ_AT_HQ = "Every sale of this outlet that the box has read is at headquarters.",
        "Setiap penjualan gerai ini yang terbaca boks sudah sampai di kantor pusat.";
    READ_WITH_BROKER = "Every sale of this outlet that the box has read is with the broker.",
        "Setiap penjualan gerai ini yang terbaca boks sudah diterima broker.";
    READ_AND_SENT = "The box has sent every sale of this outlet that it has read.",
        "Boks sudah mengirim setiap penjualan gerai ini yang terbaca.";
    WITH_BROKER_NOT_CONFIRMED = "The broker has the sales; headquarters has not confirmed all of them.",
        "Broker sudah menerima penjualan; kantor pusat belum mengonfirmasi semuanya.";
    NOT_CONFIRMED = "Headquarters has not confirmed all sales.", "Kantor pusat belum mengonfirmasi semua penjualan.";
    ON_THEIR_WAY = "Sales are on their way.", "Penjualan sedang dikirim.";
    WAIT_HERE = "Sales wait in the box.", "Penjualan menunggu di dalam boks.";
    GAP = "Some sales are not proven complete.", "Ada penjualan yang belum pasti lengkap.";
    GAP_FOR_A_PERSON = "The technician looks at it with tillbox outbox gaps; only a person can end it.",
        "Teknisi memeriksanya dengan tillbox outbox gaps; hanya orang yang dapat menutupnya.";
    PUT_ASIDE = "Some records cannot be read and are put aside.", "Ada catatan yang tidak terbaca dan disisihkan.";
    GO_ON = "Go on selling.", "Tetap berjualan seperti biasa.";
}

const NOTHING: [&str; 2] = ["Nothing to do.", "Tidak perlu melakukan apa-apa."];

const SYNC_OFF: Advice = Advice::new(
    ["The box is not running.", "Boks tidak bekerja."],
    [
        "Check the power cable. If the light stays dark for five minutes, call the technician.",
        "Periksa kabel listriknya. Jika lampu tetap mati selama lima menit, hubungi teknisi.",
    ],
);
const SYNC_STEADY: Advice = Advice::new(
    ["All sales are delivered.", "Semua penjualan sudah dikirim dan diterima."], //
    NOTHING,
);
const SYNC_SLOW: Advice = Advice::new(
    [
        "Not every sale is delivered yet, or another light is on.",
        "Belum semua penjualan diterima, atau lampu lain menyala.",
    ],
    ["Nothing to do: just leave the box on.", "Tidak perlu melakukan apa-apa: biarkan boks tetap menyala."],
);
const SYNC_FAST: Advice = Advice::new(
    ["The box is starting.", "Boks sedang bersiap."], //
    ["Wait a minute.", "Tunggu sekitar satu menit."],
);
const HOLD_OFF: Advice = Advice::new(
    ["No warning.", "Tidak ada peringatan."], //
    NOTHING,
);
const HOLD_STEADY: Advice = Advice::new(
    [
        "Sales cannot be delivered now; they are kept safe in the box.",
        "Penjualan belum pasti diterima; semuanya tersimpan aman di dalam boks.",
    ],
    [
        "Go on selling. Check the internet connection; if this lasts an hour, tell headquarters.",
        "Tetap berjualan seperti biasa. Periksa koneksi internet; jika berlangsung satu jam, beri tahu kantor pusat.",
    ],
);
const HOLD_SLOW: Advice = Advice::new(
    ["The point of sale does not answer the box.", "Boks tidak mendapat jawaban dari aplikasi kasir."],
    [
        "Go on selling. Check the internet connection and the point of sale; the box reads the sales later.",
        "Tetap berjualan seperti biasa. Periksa koneksi internet dan aplikasi kasir; boks membaca penjualannya nanti.",
    ],
);
const HOLD_FAST: Advice = Advice::new(
    ["Something is not proven yet, or the box is nearly full.", "Ada yang belum pasti, atau boks hampir penuh."],
    ["Go on selling, and tell headquarters.", "Tetap berjualan seperti biasa, dan beri tahu kantor pusat."],
);
const FAULT_OFF: Advice = Advice::new(["No fault.", "Tidak ada gangguan."], NOTHING);
const FAULT_STEADY: Advice = Advice::new(
    ["The box needs a technician.", "Boks memerlukan teknisi."],
    [
        "Go on selling, leave the box on, and call the technician.",
        "Tetap berjualan seperti biasa, biarkan boks menyala, dan hubungi teknisi.",
    ],
);
const FAULT_SLOW: Advice = Advice::new(
    ["The receipt printer needs paper or has a fault.", "Printer struk kehabisan kertas atau bermasalah."],
    ["Look at the printer: put in paper, close the lid.", "Periksa printer: isi kertas, lalu tutup penutupnya."],
);
const FAULT_FAST: Advice = Advice::new(
    ["The box is full and has stopped reading sales.", "Boks penuh dan berhenti membaca penjualan."],
    [
        "Call the technician at once. Until then the point of sale keeps the sales.",
        "Segera hubungi teknisi. Sampai saat itu penjualan tetap tersimpan di aplikasi kasir.",
    ],
);
