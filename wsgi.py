"""What the server loads: first the patch that makes every wait cooperative, then the app."""

from gevent import monkey

monkey.patch_all()

from app import create_app, serve

application = create_app()
runtime = serve(application)
