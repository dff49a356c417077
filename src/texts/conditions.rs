//! What each condition means to a shop, by its code: the codes are those of [`Condition`](crate::health::Condition).

use super::Advice;

/// What a condition means, and what to do; `None` for a code that no version knows.
#[must_use]
pub fn advice(code: &str) -> Option<Advice> {
    ALL.iter().find(|(known, _)| *known == code).map(|(_, advice)| *advice)
}

/// Whether a condition speaks of the printer or of the lines to it.
#[must_use]
pub fn is_of_printer(code: &str) -> bool {
    matches!(code, "paper_low" | "paper_end" | "printer_fault" | "line_lost")
}

/// Every condition.
pub const ALL: &[(&str, Advice)] = &[
    (
        "config_refused",
        Advice::new(
            [
                "The config on the card was not taken over; the box goes on with the one that it has.",
                "Pengaturan di kartu tidak diambil alih; boks memakai yang sudah ada.",
            ],
            [
                "The technician corrects what tillbox-report.txt on the card names, and starts the box again.",
                "Teknisi memperbaiki yang disebut di tillbox-report.txt pada kartu, lalu menyalakan boks lagi.",
            ],
        ),
    ),
    (
        "hq_unreachable",
        Advice::new(
            [
                "Headquarters cannot be reached; sales are kept safe in the box.",
                "Kantor pusat tidak terhubung; penjualan tersimpan aman di dalam boks.",
            ],
            [
                "Check the internet connection; what is kept here is sent by itself afterwards.",
                "Periksa koneksi internet; yang tersimpan di sini akan terkirim sendiri setelahnya.",
            ],
        ),
    ),
    (
        "hq_refused",
        Advice::new(
            ["Headquarters does not let the box in.", "Kantor pusat menolak boks ini."],
            [
                "The technician corrects user, password, certificate or protocol under [hq].",
                "Teknisi memperbaiki nama pengguna, kata sandi, sertifikat, atau protokol di bagian [hq].",
            ],
        ),
    ),
    (
        "publish_denied",
        Advice::new(
            [
                "The broker does not let the box's sales through; they are kept safe in the box.",
                "Broker tidak meneruskan penjualan dari boks; semuanya tersimpan aman di dalam boks.",
            ],
            [
                "Headquarters allows this box to publish and read on its topics, in the broker's access list.",
                "Kantor pusat memberi boks ini izin kirim dan baca pada topiknya, di daftar akses broker.",
            ],
        ),
    ),
    (
        "nobody_listens",
        Advice::new(
            [
                "At the broker nobody takes this outlet's sales; they are kept safe in the box.",
                "Di broker belum ada yang mengambil penjualan gerai ini; semuanya tersimpan aman di dalam boks.",
            ],
            [
                "Headquarters subscribes to this outlet's events/+ at the broker; then the sales are sent by themselves.",
                "Kantor pusat berlangganan events/+ gerai ini di broker; setelah itu penjualan terkirim sendiri.",
            ],
        ),
    ),
    (
        "not_acknowledged",
        Advice::new(
            [
                "The broker takes sales without confirming them; they are kept safe in the box.",
                "Broker mengambil penjualan tanpa mengonfirmasi; semuanya tersimpan aman di dalam boks.",
            ],
            [
                "The box tries again by itself. If this lasts an hour, headquarters looks at the broker's limits, rules and log.",
                "Boks mencoba lagi sendiri. Jika berlangsung satu jam, kantor pusat memeriksa batas, aturan, dan log broker.",
            ],
        ),
    ),
    (
        "feed_silent",
        Advice::new(
            [
                "The broker has sales that headquarters has not confirmed; they are kept safe in the box, too.",
                "Broker memegang penjualan yang belum dikonfirmasi kantor pusat; semuanya juga tersimpan aman di dalam boks.",
            ],
            [
                "Headquarters looks whether its feed runs, and whether the box may read its word on the topic stored.",
                "Kantor pusat memeriksa apakah feed berjalan, dan apakah boks boleh membaca topik stored.",
            ],
        ),
    ),
    (
        "broker_forgot",
        Advice::new(
            [
                "The broker lost its memory; sales that it had confirmed may be gone there.",
                "Broker kehilangan ingatannya; penjualan yang sudah dikonfirmasinya mungkin hilang di sana.",
            ],
            [
                "Tell headquarters: it compares the closings of these days, and lets the broker keep its memory on disk.",
                "Beri tahu kantor pusat, agar membandingkan penutupan hari-hari ini dan membuat broker menyimpan ingatannya di disk.",
            ],
        ),
    ),
    (
        "event_reduced",
        Advice::new(
            [
                "A sale was too large for the broker and was sent without its items.",
                "Satu penjualan terlalu besar bagi broker dan dikirim tanpa rincian barangnya.",
            ],
            [
                "Headquarters raises the broker's limit for the size of a message.",
                "Kantor pusat menaikkan batas ukuran pesan di broker.",
            ],
        ),
    ),
    (
        "clock_unproven",
        Advice::new(
            [
                "The box does not know yet whether its clock is right; sales are kept safe in the box until then.",
                "Boks belum tahu apakah jamnya benar; sementara itu penjualan tersimpan aman di dalam boks.",
            ],
            [
                "Wait ten minutes. If this is still told then, the technician checks internet connection and time server.",
                "Tunggu sepuluh menit. Jika masih begitu, teknisi memeriksa koneksi internet dan server waktu.",
            ],
        ),
    ),
    (
        "store_set_aside",
        Advice::new(
            [
                "Sales of another outlet still wait on this box, set aside.",
                "Penjualan gerai lain masih menunggu di boks ini, disisihkan.",
            ],
            [
                "The technician sends them with tillbox outbox send, with that outlet's own config.",
                "Teknisi mengirimnya dengan tillbox outbox send, memakai pengaturan gerai itu.",
            ],
        ),
    ),
    (
        "broker_unfit",
        Advice::new(
            [
                "The broker cannot do what the box needs; sales are kept safe in the box.",
                "Broker tidak mampu melakukan yang dibutuhkan boks; penjualan tersimpan aman di dalam boks.",
            ],
            [
                "Headquarters lets the broker keep retained messages and last wills, or gives the box another broker.",
                "Kantor pusat membuat broker menyimpan pesan retained dan last will, atau memberi boks broker lain.",
            ],
        ),
    ),
    (
        "link_failed",
        Advice::new(
            [
                "The line to headquarters failed by a fault of the program; sales are kept safe in the box.",
                "Sambungan ke kantor pusat gagal karena kesalahan program; penjualan tersimpan aman di dalam boks.",
            ],
            [
                "The box tries again by itself; the technician sends the journal to the program's makers.",
                "Boks mencoba lagi sendiri; teknisi mengirim jurnal kepada pembuat program.",
            ],
        ),
    ),
    (
        "stored_rejected",
        Advice::new(
            [
                "Headquarters confirms something else than what was sent.",
                "Kantor pusat mengonfirmasi hal lain dari yang dikirim.",
            ],
            ["Headquarters checks its feed for this outlet.", "Kantor pusat memeriksa feed untuk outlet ini."],
        ),
    ),
    (
        "outlet_conflict",
        Advice::new(
            ["Another box sends for this outlet.", "Ada boks lain yang mengirim untuk outlet ini."],
            [
                "Switch the other box off and run tillbox outbox take-over here; or give one of the two its own outlet id.",
                "Matikan boks yang lain lalu jalankan tillbox outbox take-over di sini; atau beri salah satunya id outlet \
                 sendiri.",
            ],
        ),
    ),
    (
        "pos_unreachable",
        Advice::new(
            ["The point of sale does not answer.", "Aplikasi kasir tidak menjawab."],
            [
                "Check the internet connection; the box asks again by itself.",
                "Periksa koneksi internet; boks akan mencoba lagi sendiri.",
            ],
        ),
    ),
    (
        "pos_refused",
        Advice::new(
            [
                "The point of sale does not let the box in, or cannot be trusted.",
                "Aplikasi kasir menolak boks ini, atau tidak dapat dipercaya.",
            ],
            [
                "The technician does what the cause says: the key, the password or a certificate of this connection.",
                "Teknisi melakukan yang disebut pada penyebabnya: kunci, kata sandi, atau sertifikat sambungan ini.",
            ],
        ),
    ),
    (
        "pos_unreadable",
        Advice::new(
            ["The point of sale's answer cannot be read.", "Jawaban aplikasi kasir tidak dapat dibaca."],
            [
                "The box asks again by itself. If this lasts an hour, call the technician.",
                "Boks akan mencoba lagi sendiri. Jika berlangsung satu jam, hubungi teknisi.",
            ],
        ),
    ),
    (
        "window_not_honoured",
        Advice::new(
            [
                "The point of sale gives sales from other times than were asked for.",
                "Aplikasi kasir memberi penjualan dari waktu lain dari yang diminta.",
            ],
            [
                "The technician reports it to the maker of the point of sale.",
                "Teknisi melaporkannya kepada pembuat aplikasi kasir.",
            ],
        ),
    ),
    (
        "window_unproven",
        Advice::new(
            [
                "It is not proven yet which times the point of sale means.",
                "Belum pasti zona waktu mana yang dipakai aplikasi kasir.",
            ],
            [
                "Nothing to do: further sales prove it.",
                "Tidak perlu melakukan apa-apa: penjualan berikutnya akan memastikannya.",
            ],
        ),
    ),
    (
        "pos_unfit",
        Advice::new(
            [
                "The account is another shop's, or sees too little.",
                "Akunnya milik toko lain, atau aksesnya terlalu sempit.",
            ],
            ["The technician gives the box the right account.", "Teknisi memberi boks akun yang benar."],
        ),
    ),
    (
        "pos_reset",
        Advice::new(
            ["The point of sale was reset, or it is another one.", "Aplikasi kasir di-reset, atau diganti yang lain."],
            ["The technician sets up a new connection for it.", "Teknisi membuat sambungan baru untuknya."],
        ),
    ),
    (
        "list_unreliable",
        Advice::new(
            [
                "The point of sale's lists are not as they should be.",
                "Daftar penjualan dari aplikasi kasir tidak sebagaimana mestinya.",
            ],
            [
                "Nothing to do: the box reads them again by itself.",
                "Tidak perlu melakukan apa-apa: boks membacanya ulang sendiri.",
            ],
        ),
    ),
    (
        "store_failed",
        Advice::new(
            ["The box cannot store sales.", "Boks tidak dapat menyimpan penjualan."],
            [
                "Call the technician: the memory card may have to be replaced.",
                "Hubungi teknisi: kartu memori mungkin perlu diganti.",
            ],
        ),
    ),
    (
        "outbox_full",
        Advice::new(
            ["There is no more room; reading has stopped.", "Ruang simpan habis; pembacaan berhenti."],
            [
                "Call the technician at once, and tell headquarters: the sales must leave.",
                "Segera hubungi teknisi, dan beri tahu kantor pusat: penjualan harus terkirim.",
            ],
        ),
    ),
    (
        "clock_wrong",
        Advice::new(
            ["The box's clock is wrong.", "Jam boks salah."],
            [
                "Check the internet connection: the clock sets itself by it. If it stays wrong, call the technician.",
                "Periksa koneksi internet: jam menyetel diri melaluinya. Jika tetap salah, hubungi teknisi.",
            ],
        ),
    ),
    (
        "clock_differs",
        Advice::new(
            [
                "The box's clock and the point of sale's differ; sales are read all the same.",
                "Jam boks dan jam kasir berbeda; penjualan tetap terbaca.",
            ],
            [
                "Check the internet connection and the date on the cashier's computer. If they stay apart, call the technician.",
                "Periksa koneksi internet dan tanggal di komputer kasir. Jika tetap berbeda, hubungi teknisi.",
            ],
        ),
    ),
    (
        "clock_unconfirmed",
        Advice::new(
            [
                "Nothing tells the box whether its clock is right, so it cannot know that it sees the newest sales.",
                "Tidak ada yang memastikan jam boks benar, sehingga boks tidak tahu apakah penjualan terbaru terlihat.",
            ],
            [
                "Check the internet connection: the clock sets itself by it. If this stays, call the technician.",
                "Periksa koneksi internet: jam menyetel diri melaluinya. Jika tetap begini, hubungi teknisi.",
            ],
        ),
    ),
    (
        "till_clock_wrong",
        Advice::new(
            [
                "Sales are dated in the future: the clock of a till is wrong.",
                "Ada penjualan bertanggal di masa depan: jam sebuah kasir salah.",
            ],
            ["Set date and time of the till right.", "Betulkan tanggal dan jam kasir itu."],
        ),
    ),
    (
        "paper_low",
        Advice::new(
            ["The receipt printer is running low on paper.", "Kertas printer struk hampir habis."],
            ["Have a new roll ready.", "Siapkan gulungan kertas baru."],
        ),
    ),
    (
        "paper_end",
        Advice::new(
            ["The receipt printer is out of paper.", "Kertas printer struk habis."],
            ["Put in a new roll.", "Pasang gulungan kertas baru."],
        ),
    ),
    (
        "printer_fault",
        Advice::new(
            ["The receipt printer reports a fault.", "Printer struk bermasalah."],
            [
                "Close the lid and clear jammed paper; then switch the printer off and on.",
                "Tutup penutupnya dan keluarkan kertas yang macet; lalu matikan dan nyalakan printer.",
            ],
        ),
    ),
    (
        "line_lost",
        Advice::new(
            [
                "A line to the lights or to the printer does not work.",
                "Salah satu jalur ke lampu atau printer tidak berfungsi.",
            ],
            [
                "The technician checks the wiring and the board's profile under [board].",
                "Teknisi memeriksa kabel dan profil papan di bagian [board].",
            ],
        ),
    ),
];
