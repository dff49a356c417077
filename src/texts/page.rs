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
    LAST_WITH_BROKER = "Last sale with the broker", "Terakhir diterima broker";
    NONE_LATELY = "none in 24 hours", "tidak ada dalam 24 jam";
    WAITING_FOR_BROKER = "Waiting for the broker", "Menunggu broker";
    WAITING_FOR_HQ = "Waiting for headquarters' word", "Menunggu konfirmasi kantor pusat";
    NOTHING_WAITS = "nothing waits", "tidak ada yang menunggu";
    DRAINED_IN = "about {} until all is delivered", "sekitar {} sampai semua diterima";
    DRAINED_UNKNOWN = "time until all is delivered: unknown", "lama sampai semua diterima: belum diketahui";
    OLDEST = "the oldest is of {}", "yang tertua dari {}";
    NOT_CONFIRMED = "the broker has it; headquarters has not confirmed it",
        "broker sudah menerimanya; kantor pusat belum mengonfirmasi";
    ALL_CONFIRMED = "headquarters has confirmed all that was sent",
        "kantor pusat sudah mengonfirmasi semua yang dikirim";
    UNKNOWN = "unknown", "belum diketahui";

    LAST_DAY = "The last 24 hours", "24 jam terakhir";
    CHART = "{} sales in the last 24 hours, {} of them {}; the most in one hour: {}.",
        "{} penjualan dalam 24 jam terakhir, {} di antaranya {}; terbanyak dalam satu jam: {}.";
    AT_HQ = "at headquarters", "sudah di kantor pusat";
    WITH_BROKER = "with the broker", "sudah diterima broker";
    NOT_AT_HQ = "not confirmed by headquarters", "belum dikonfirmasi kantor pusat";
    STILL_HERE = "still in the box", "masih di boks";
    HOUR = "Hour", "Jam";
    SEEN = "Sales", "Penjualan";
    AS_TABLE = "The same as a table", "Lihat sebagai tabel";

    ATTENTION = "Needs attention", "Perlu perhatian";
    ALL_WELL = "Nothing needs attention.", "Tidak ada yang perlu diperhatikan.";
    GAPS = "Intervals not proven complete: {}", "Selang waktu yang belum pasti lengkap: {}";
    GAPS_TO_DO = "The box reads them again by itself. If they stay for a day, tell headquarters.",
        "Boks membacanya ulang sendiri. Jika sehari belum selesai, beri tahu kantor pusat.";
    GAPS_FOR_A_PERSON = "Tell headquarters. The technician sees them with tillbox outbox gaps; some of them only a person can end.",
        "Beri tahu kantor pusat. Teknisi melihatnya dengan tillbox outbox gaps; sebagian hanya dapat ditutup oleh orang.";
    PUT_ASIDE = "Records that cannot be read, put aside: {}", "Catatan yang tidak terbaca dan disisihkan: {}";
    PUT_ASIDE_TO_DO = "Headquarters knows of each; the technician sees and dismisses them with tillbox outbox gaps.",
        "Kantor pusat sudah diberi tahu; teknisi melihat dan menutupnya dengan tillbox outbox gaps.";
    NEARLY_FULL = "The box's room for waiting sales is {} % full.",
        "Ruang boks untuk penjualan yang menunggu terisi {} %.";
    NEARLY_FULL_TO_DO = "Tell headquarters: the sales must leave before there is no more room.",
        "Beri tahu kantor pusat: penjualan harus terkirim sebelum ruangnya habis.";
    AND_MORE = "and {} more", "dan {} lagi";
    FOR_TECHNICIAN = "For the technician", "Untuk teknisi";
    SINCE = "since {}", "sejak {}";
    TIMES = "{} times lately", "{} kali belakangan ini";

    LINES = "Connections", "Sambungan";
    HQ = "Line to headquarters", "Sambungan ke kantor pusat";
    POS = "Point of sale", "Aplikasi kasir";
    FINE = "Works", "Berfungsi";
    STARTING = "Starting", "Sedang bersiap";
    CATCHING_UP = "Reading older sales", "Membaca penjualan lama";
    NO_CONNECTION = "No connection; tries again", "Tidak terhubung; mencoba lagi";
    KEPT_HERE = "Sales are kept here; tries again", "Penjualan disimpan di sini; mencoba lagi";
    TECHNICIAN = "Needs a technician", "Perlu teknisi";
    ACCOUNT = "Account", "Akun";
    READ_TO = "Read up to", "Terbaca sampai";
    LAST_ANSWER = "Last answer", "Jawaban terakhir";
    BROKER = "Broker", "Broker kantor pusat";
    FORGOTTEN = "Sales are kept until", "Penjualan disimpan sampai";
    FORGOTTEN_FEED = "headquarters has stored them", "kantor pusat menyimpannya";
    FORGOTTEN_BROKER = "the broker has them", "broker menerimanya";
    UNPROVEN = "Not proven", "Belum pasti";
    NO_LISTENER_TOLD = "sales are with the broker; whether headquarters listens, MQTT 3.1.1 does not tell",
        "penjualan ada di broker; apakah kantor pusat mendengarkan, MQTT 3.1.1 tidak memberi tahu";
    BARE_WORD = "the broker's bare word counts (hq.echo = none)",
        "hanya berdasarkan pernyataan broker (hq.echo = none)";
    CANNOT = "Limits of this point of sale", "Batasan aplikasi kasir ini";

    PRINTER = "Receipt printer", "Printer struk";
    PRINTER_FINE = "Paper and printer are fine.", "Kertas dan printer baik.";

    BOX = "The box", "Tentang boks";
    ROOM = "Room for what waits", "Ruang untuk yang menunggu";
    ROOM_OF = "{} of {} ({} %)", "{} dari {} ({} %)";
    JUST_LEFT = "it has just left, and is let go within five minutes",
        "sudah terkirim, dan dilepas dalam lima menit";
    PARTLY_JUST_LEFT = "with what has just left", "termasuk yang baru terkirim";
    KEPT = "Delivered and still kept", "Sudah diterima dan masih disimpan";
    MOST = "At most on the card", "Paling banyak di kartu memori";
    MOST_OF = "{} (outbox.max-size), with what the store needs for itself",
        "{} (outbox.max-size), termasuk kebutuhan penyimpanan sendiri";
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
