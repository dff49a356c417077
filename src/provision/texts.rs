//! The texts of the report on the boot partition, in English and Indonesian. The report shows both: who reads it has a
//! card in a computer and no say in which language.

/// A text in both languages.
pub(super) struct Text {
    pub(super) english: &'static str,
    pub(super) indonesian: &'static str,
}

pub(super) const REFUSED: Text = Text {
    english: "The box did NOT take over the settings: something in the file must be corrected first. Each line below \
              tells the file, the line, the column, the key and what to do. Correct the file on this card, put the card \
              back into the box and switch it on. Files that the settings name (tokens, keys, certificates) belong \
              beside tillbox.toml on this card.",
    indonesian: "Pengaturan BELUM diambil alih oleh boks ini: isi berkas harus diperbaiki dahulu. Setiap baris di \
                 bawah menunjukkan berkas, baris, kolom, kunci, dan apa yang harus dilakukan. Perbaiki berkas di kartu \
                 ini, pasang kembali kartu ke boks, lalu nyalakan. Berkas yang disebut dalam pengaturan (token, kunci, \
                 sertifikat) harus berada di samping tillbox.toml di kartu ini.",
};

pub(super) const GOES_ON: Text = Text {
    english: "Until then the box goes on with the settings that it has.",
    indonesian: "Sementara itu boks tetap berjalan dengan pengaturan yang sudah ada.",
};

pub(super) const HAS_NONE: Text = Text {
    english: "Until then the box reads no sales: it has no settings yet.",
    indonesian: "Sementara itu boks tidak membaca penjualan: belum ada pengaturan.",
};

pub(super) const TAKEN_OVER: Text = Text {
    english: "The box has taken over the settings. Nothing more is to be done on this card.",
    indonesian: "Pengaturan sudah diambil alih oleh boks ini. Tidak ada lagi yang perlu dilakukan di kartu ini.",
};

pub(super) const ERASED: Text = Text {
    english: "The settings and the files beside them were overwritten with zeros here and removed. Flash memory may \
              still keep a copy where only a laboratory reads it: whoever loses this card should have its tokens renewed.",
    indonesian: "Pengaturan dan berkas di sampingnya sudah ditimpa dengan nol dan dihapus dari sini. Memori flash \
                 mungkin masih menyimpan salinan yang hanya dapat dibaca di laboratorium: bila kartu ini hilang, \
                 perbarui semua tokennya.",
};

pub(super) const STAYS: Text = Text {
    english: "The settings COULD NOT BE ERASED from this card: whoever reads the card reads the secrets in them. Delete \
              the files below by hand.",
    indonesian: "Pengaturan TIDAK DAPAT DIHAPUS dari kartu ini: siapa pun yang membaca kartu ini dapat membaca \
                 rahasianya. Hapus berkas di bawah ini secara manual.",
};

pub(super) const NOT_STORED: Text = Text {
    english: "The settings are right, but the box could NOT store them. The file on this card was left as it is, and the \
              box tries again when it is switched on.",
    indonesian: "Pengaturan sudah benar, tetapi TIDAK DAPAT disimpan oleh boks. Berkas di kartu ini tidak diubah, dan \
                 boks akan mencoba lagi saat dinyalakan.",
};
