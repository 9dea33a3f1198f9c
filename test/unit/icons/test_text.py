import pytest

from icons.text import language_of, normalize


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("  Shopping-Cart! ", "shopping cart"),
        ("\uff33\uff28\uff2f\uff30\uff30\uff29\uff2e\uff27\u3000\uff43\uff41\uff52\uff54", "shopping cart"),
        ("向右箭头图标,用于导航。", "向右箭头图标 用于导航"),
        ("Straße", "strasse"),
        ("C++ / #", "c++"),
        ("a\u0000b\u200bc", "a b c"),
        ("🛒", "🛒"),
        ("!?", "!?"),
        ("", ""),
    ],
)
def test_spellings_that_mean_the_same_have_one_form(text, same):
    assert normalize(text) == same
    assert normalize(same) == same


@pytest.mark.parametrize(
    ("text", "language"),
    [("购物车", "zh"), ("wifi图标", "zh"), ("カート", "zh"), ("shopping cart", "en"), ("🛒", "en"), ("", "en")],
)
def test_a_text_with_chinese_characters_is_chinese(text, language):
    assert language_of(text) == language
