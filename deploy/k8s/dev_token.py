"""`python -m deploy.k8s.dev_token AGENCY`: a bearer token that the dev overlay's intake accepts, good for one day.

The key lies open in the repository: it opens the dev overlay and must never open anything else.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

from shared.tokens import make_token

DEV = Path(__file__).resolve().parent / "overlays" / "dev"
ISSUER, AUDIENCE = "https://issuer.dev.invalid", "rogatory"


def token_for(agency: str) -> str:
    """A token with which this agency files letters and reads what became of them."""
    key = json.loads((DEV / "dev-only-token-key.json").read_text())
    scopes = ("letters:write", "letters:read")
    return make_token(key, issuer=ISSUER, audience=AUDIENCE, agency=agency, scopes=scopes, lifetime=timedelta(days=1))


def main() -> None:
    """Print the token of the one agency that is named."""
    if len(sys.argv) != 2:
        print("say one agency of partners.yaml: python -m deploy.k8s.dev_token AGENCY", file=sys.stderr)
        sys.exit(2)
    print(token_for(sys.argv[1]))


if __name__ == "__main__":
    main()
