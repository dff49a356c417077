//! The words of the report that provisioning leaves on the boot partition. It shows both languages: whoever reads it has
//! a card in a computer and no say in which.

use super::{Text, texts};

texts! {
    REFUSED = "The box did NOT take over the settings: something in the file must be corrected first. Each line below \
        tells the file, the line, the column, the key and what to do. Correct the file on this card, put the card \
        back into the box and switch it on. Files that the settings name (tokens, keys, certificates) belong \
        beside tillbox.toml on this card.",
        "Pengaturan BELUM diambil alih oleh boks ini: isi berkas harus diperbaiki dahulu. Setiap baris di \
        bawah menunjukkan berkas, baris, kolom, kunci, dan apa yang harus dilakukan. Perbaiki berkas di kartu \
        ini, pasang kembali kartu ke boks, lalu nyalakan. Berkas yang disebut dalam pengaturan (token, kunci, \
        sertifikat) harus berada di samping tillbox.toml di kartu ini.";

    GOES_ON = "Until then the box goes on with the settings that it has.",
        "Sementara itu boks tetap berjalan dengan pengaturan yang sudah ada.";

    HAS_NONE = "Until then the box reads no sales: it has no settings yet.",
        "Sementara itu boks tidak membaca penjualan: belum ada pengaturan.";

    TAKEN_OVER = "The box has taken over the settings. Nothing more is to be done on this card.",
        "Pengaturan sudah diambil alih oleh boks ini. Tidak ada lagi yang perlu dilakukan di kartu ini.";

    ERASED = "The settings and the files beside them were overwritten with zeros here and removed. Flash memory may \
        still keep a copy where only a laboratory reads it: whoever loses this card should have its tokens renewed.",
        "Pengaturan dan berkas di sampingnya sudah ditimpa dengan nol dan dihapus dari sini. Memori flash \
        mungkin masih menyimpan salinan yang hanya dapat dibaca di laboratorium: bila kartu ini hilang, \
        perbarui semua tokennya.";

    STAYS = "The settings COULD NOT BE ERASED from this card: whoever reads the card reads the secrets in them. Delete \
        the files below by hand.",
        "Pengaturan TIDAK DAPAT DIHAPUS dari kartu ini: siapa pun yang membaca kartu ini dapat membaca \
        rahasianya. Hapus berkas di bawah ini secara manual.";

    NOT_STORED = "The settings are right, but the box could NOT store them. The file on this card was left as it is, and the \
        box tries again when it is switched on.",
        "Pengaturan sudah benar, tetapi TIDAK DAPAT disimpan oleh boks. Berkas di kartu ini tidak diubah, dan \
        boks akan mencoba lagi saat dinyalakan.";
}
