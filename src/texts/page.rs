//! The words of the page.

use super::{Text, texts};

texts! {
    TITLE = "Till box of {}", "Boks kasir {}";
    OUTLET = "Outlet {}", "Gerai {}";
    UPDATED = "As of {}; this page renews itself every {} seconds.", "Keadaan pukul {}; halaman ini diperbarui tiap {} detik.";

    LIGHTS = "The lights on the box", "Lampu pada boks";
    TO_DO = "What to do", "Yang perlu dilakukan";

    AT_A_GLANCE = "Sales at a glance", "Ringkasan penjualan";
    LAST_SEEN = "Last sale seen", "Penjualan terakhir terbaca";
    LAST_AT_HQ = "Last sale at headquarters", "Terakhir sampai di kantor pusat";
    NONE_LATELY = "none in 24 hours", "tidak ada dalam 24 jam";
    WAITING = "Waiting to be sent", "Menunggu dikirim";
    UNCONFIRMED = "Sent, not confirmed yet", "Terkirim, belum dikonfirmasi";
    NOTHING_WAITS = "nothing waits", "tidak ada yang menunggu";
    DRAINED_IN = "about {} until all is sent", "sekitar {} sampai semua terkirim";
    DRAINED_UNKNOWN = "time until all is sent: unknown", "lama sampai semua terkirim: belum diketahui";
    OLDEST = "the oldest is of {}", "yang tertua dari {}";
    HQ_CONFIRMS = "headquarters confirms each sale", "kantor pusat mengonfirmasi tiap penjualan";
    UNKNOWN = "unknown", "belum diketahui";

    LAST_DAY = "The last 24 hours", "24 jam terakhir";
    CHART = "{} sales in the last 24 hours, {} of them at headquarters; the most in one hour: {}.",
        "{} penjualan dalam 24 jam terakhir, {} di antaranya sudah di kantor pusat; terbanyak dalam satu jam: {}.";
    AT_HQ = "at headquarters", "di kantor pusat";
    STILL_HERE = "still in the box", "masih di boks";
    HOUR = "Hour", "Jam";
    SEEN = "Sales", "Penjualan";
    AS_TABLE = "The same as a table", "Lihat sebagai tabel";

    ATTENTION = "Needs attention", "Perlu perhatian";
    ALL_WELL = "Nothing needs attention.", "Tidak ada yang perlu diperhatikan.";
    GAPS = "Intervals not proven complete: {}", "Selang waktu yang belum pasti lengkap: {}";
    GAPS_TO_DO = "The box reads them again by itself. If they stay for a day, tell headquarters.",
        "Boks membacanya ulang sendiri. Jika sehari belum selesai, beri tahu kantor pusat.";
    PUT_ASIDE = "Records that cannot be read, put aside: {}", "Catatan yang tidak terbaca dan disisihkan: {}";
    PUT_ASIDE_TO_DO = "Headquarters knows of each; the technician sees them with tillbox outbox list.",
        "Kantor pusat sudah diberi tahu; teknisi melihatnya dengan tillbox outbox list.";
    NEARLY_FULL = "The box's room is {} % full.", "Ruang simpan boks terisi {} %.";
    NEARLY_FULL_TO_DO = "Restore the connection to headquarters, so that the sales can leave.",
        "Pulihkan sambungan ke kantor pusat, agar penjualan bisa terkirim.";
    AND_MORE = "and {} more", "dan {} lagi";
    FOR_TECHNICIAN = "For the technician", "Untuk teknisi";
    SINCE = "since {}", "sejak {}";
    TIMES = "{} times lately", "{} kali belakangan ini";

    LINES = "Connections", "Sambungan";
    HQ = "Headquarters", "Kantor pusat";
    POS = "Point of sale", "Aplikasi kasir";
    FINE = "Works", "Berfungsi";
    STARTING = "Starting", "Sedang bersiap";
    CATCHING_UP = "Reading older sales", "Membaca penjualan lama";
    NO_CONNECTION = "No connection; tries again", "Tidak terhubung; mencoba lagi";
    TECHNICIAN = "Needs a technician", "Perlu teknisi";
    ACCOUNT = "Account", "Akun";
    READ_TO = "Read up to", "Terbaca sampai";
    LAST_ANSWER = "Last answer", "Jawaban terakhir";
    BROKER = "Server", "Server kantor pusat";
    FORGOTTEN = "Sales are kept until", "Penjualan disimpan sampai";
    FORGOTTEN_FEED = "headquarters has stored them", "kantor pusat menyimpannya";
    FORGOTTEN_BROKER = "the server has them", "server menerimanya";
    CANNOT = "Limits of this point of sale", "Batasan aplikasi kasir ini";

    PRINTER = "Receipt printer", "Printer struk";
    PRINTER_FINE = "Paper and printer are fine.", "Kertas dan printer baik.";

    BOX = "The box", "Tentang boks";
    ROOM = "Room used", "Ruang terpakai";
    ROOM_OF = "{} of {} ({} %)", "{} dari {} ({} %)";
    DISK = "Free on the card", "Sisa di kartu memori";
    CLOCK = "Clock", "Selisih jam";
    CLOCK_RIGHT = "agrees with the point of sale", "cocok dengan aplikasi kasir";
    CLOCK_AHEAD = "{} ahead of the point of sale", "{} lebih cepat dari aplikasi kasir";
    CLOCK_BEHIND = "{} behind the point of sale", "{} lebih lambat dari aplikasi kasir";
    TEMPERATURE = "Temperature", "Suhu";
    RUNNING_SINCE = "Running since", "Menyala sejak";
    VERSION = "Version", "Versi";

    AGO = "{} ago", "{} lalu";
    JUST_NOW = "just now", "baru saja";
    AHEAD = "in {}", "{} lagi";
    SECONDS = "{} s", "{} dtk";
    MINUTES = "{} min", "{} mnt";
    HOURS = "{} h", "{} jam";
    DAYS = "{} d", "{} hari";
}
