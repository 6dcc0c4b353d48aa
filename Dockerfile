# The service and its offline jobs in one image: `docker build -t riskline .`, then `docker run -p 8080:8080 riskline`.
#
#   --build-arg MODEL=model.tar.gz   an archive or a folder in this folder is the model; without it, one is trained here
#                                    on the bundled applications
#   --build-arg BASE=…               another image with Python >= 3.11
#   --build-arg REQUIREMENTS=…       dynamodb: with boto3 too, for RISKLINE_STORE=dynamodb:…
#                                    traces: with what RISKLINE_TRACES=http://… needs
#   --build-arg REVISION=…           the commit, for the label
ARG BASE=python:3.11-slim
ARG MODEL=

FROM ${BASE} AS environment
ARG REQUIREMENTS=serving
COPY requirements/${REQUIREMENTS}.txt /requirements/
# pip comes from the base and stays there; what is compiled now needs no writing at start
RUN python -m venv --without-pip /opt/riskline/environment \
    && pip --python /opt/riskline/environment/bin/python install --no-cache-dir --require-hashes --compile \
        -r /requirements/${REQUIREMENTS}.txt \
    && cd /opt/riskline/environment/lib/python3*/site-packages \
    && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*.pxd pyarrow/includes \
    && find . -type d -name tests -prune -exec rm -rf {} +

FROM environment AS training
COPY requirements/training.txt /requirements/
RUN pip --python /opt/riskline/environment/bin/python install --no-cache-dir --require-hashes --no-compile \
        -r /requirements/training.txt
WORKDIR /opt/riskline/source
COPY decisions/ decisions/
COPY model/ model/
COPY preprocessing/ preprocessing/
RUN ../environment/bin/python -m model.train --out /opt/riskline/model

FROM environment AS application
WORKDIR /opt/riskline/application
COPY service.py ./
COPY serving/ serving/
COPY decisions/ decisions/
# serving's part of model/, as bentofile.yaml lists it
COPY model/__init__.py model/artifact.py model/changes.py model/charts.py model/errors.py model/graph.py \
     model/intervals.py model/page.py model/places.py model/policy.py model/promote.py model/promotion.py \
     model/psi.py model/reference.py model/score.py model/storage.py model/
COPY preprocessing/ preprocessing/
# the features are inside the model's graph, and decisions/labelled.py is for training
RUN rm preprocessing/features.py decisions/labelled.py && ../environment/bin/python -m compileall -q .

FROM training AS model

FROM application AS given-model
ARG MODEL
# ADD, because it unpacks an archive and copies a folder
ADD ${MODEL} /opt/riskline/model/
RUN chmod -R u=rwX,go=rX /opt/riskline/model

FROM ${MODEL:+given-}model AS chosen-model

FROM application AS verified-model
COPY --from=chosen-model /opt/riskline/model/ /opt/riskline/model/
RUN ../environment/bin/python -m model.artifact /opt/riskline/model

FROM ${BASE}
LABEL org.opencontainers.image.title="Riskline" \
      org.opencontainers.image.description="Risk scoring that a lender hosts itself" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true" \
      com.amazonaws.sagemaker.capabilities.multi-models="true"
# Where a volume for decisions fits; whoever the container runs as may write to one that is new
RUN mkdir -m 1777 /var/lib/riskline
# What else is written goes to /tmp, the only place that has to be writable
ENV PATH=/opt/riskline/environment/bin:$PATH \
    HOME=/tmp \
    BENTOML_HOME=/tmp/bentoml \
    BENTOML_DO_NOT_TRACK=true \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=environment /opt/riskline/environment /opt/riskline/environment
COPY --from=verified-model /opt/riskline/model /opt/riskline/model
COPY --from=application /opt/riskline/application /opt/riskline/application
WORKDIR /opt/riskline/application
# a number, so that Kubernetes can see that it is not root; any other user works too
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "serving.container", "health"]
# the last layer, since it differs at every commit
ARG REVISION=
LABEL org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["python", "-m", "serving.container"]
CMD ["serve"]
