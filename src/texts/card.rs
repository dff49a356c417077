//! The words of the cashier's card beside those of the lights.

use super::{Text, texts};

texts! {
    TITLE = "What the lights mean", "Arti lampu pada boks";
    GO_ON = "You can always go on selling: the point of sale keeps every sale.",
        "Tetaplah berjualan seperti biasa: aplikasi kasir menyimpan setiap penjualan.";
}
