import java.time.Duration;
import java.util.*;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.*;

/** Each way in is gone with a few records there and back, each that must be refused is tried and lets none through. */
public class Ways {
  static final int REFUSAL_MS = 4000; // who has not come in by then was refused
  final String name;

  Ways(String name) {
    this.name = name;
  }

  static String env(String key) {
    return System.getenv("INTEROP_" + key);
  }

  static Map<String, Object> way(String listener, String protocol, Object... more) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", env(listener));
    settings.put("security.protocol", protocol);
    for (int at = 0; at < more.length; at += 2) settings.put((String) more[at], more[at + 1]);
    return settings;
  }

  static Map<String, Object> tls(String listener, String authority, Object... more) {
    Map<String, Object> settings = way(listener, "SSL", more);
    settings.put("ssl.truststore.type", "PEM");
    settings.put("ssl.truststore.location", env(authority));
    return settings;
  }

  static Map<String, Object> login(Map<String, Object> settings, String mechanism, String password) {
    String kind = mechanism.equals("PLAIN") ? "plain.Plain" : "scram.Scram";
    settings.put("sasl.mechanism", mechanism);
    settings.put("sasl.jaas.config", "org.apache.kafka.common.security." + kind + "LoginModule required username=\""
        + env("USER") + "\" password=\"" + password + "\";");
    return settings;
  }

  /** Gives the token that the environment has. */
  public static class Token implements AuthenticateCallbackHandler {
    @Override
    public void configure(Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {}

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
      for (Callback callback : callbacks) {
        if (callback instanceof OAuthBearerTokenCallback) ((OAuthBearerTokenCallback) callback).token(token());
        else if (!callback.getClass().getSimpleName().contains("Extensions")) {
          throw new UnsupportedCallbackException(callback);
        }
      }
    }

    static OAuthBearerToken token() {
      return new OAuthBearerToken() {
        @Override
        public String value() {
          return env("TOKEN");
        }

        @Override
        public Set<String> scope() {
          return Set.of();
        }

        @Override
        public long lifetimeMs() {
          return Long.parseLong(env("TOKEN_ENDS_MS"));
        }

        @Override
        public String principalName() {
          return env("USER");
        }

        @Override
        public Long startTimeMs() {
          return null;
        }
      };
    }
  }

  void comesIn(String what, Map<String, Object> way) {
    Interop.later(what, () -> roundTrip(what, way));
  }

  void roundTrip(String what, Map<String, Object> way) throws Exception {
    Interop client = new Interop(way, name);
    String topic = name + ".secure";
    try (KafkaProducer<byte[], byte[]> producer = client.producer("none")) {
      Transactions.send(producer, topic, Transactions.batch(what));
    }
    TopicPartition partition = new TopicPartition(topic, 0);
    byte[] last = Interop.bytes(what + " " + (Interop.FEW - 1));
    long deadline = System.currentTimeMillis() + Interop.WAIT_MS;
    try (KafkaConsumer<byte[], byte[]> consumer = client.consumer(Map.of())) {
      consumer.assign(List.of(partition));
      for (;;) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          if (Arrays.equals(record.value(), last)) return;
        }
        Interop.require(System.currentTimeMillis() < deadline, "the records did not come back");
      }
    }
  }

  void isRefused(String what, Map<String, Object> way) {
    way.put("max.block.ms", REFUSAL_MS);
    Interop.later(what, () -> {
      try (KafkaProducer<byte[], byte[]> producer = new Interop(way, name).producer("none")) {
        Transactions.send(producer, name + ".secure", Transactions.batch(what));
      } catch (Exception refused) {
        System.err.println(what + ": " + refused);
        return;
      }
      throw new AssertionError("records were taken");
    });
  }

  void all() {
    String password = env("PASSWORD");
    for (String mechanism : List.of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")) {
      comesIn("SASL " + mechanism, login(way("SASL", "SASL_PLAINTEXT"), mechanism, password));
      if (mechanism.equals("SCRAM-SHA-512")) continue;
      isRefused("SASL " + mechanism + ", a wrong password is refused",
          login(way("SASL", "SASL_PLAINTEXT"), mechanism, "wrong"));
    }
    comesIn("SASL OAUTHBEARER", way("SASL", "SASL_PLAINTEXT", "sasl.mechanism", "OAUTHBEARER",
        "sasl.jaas.config",
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
        "sasl.login.callback.handler.class", Token.class.getName()));
    comesIn("TLS", tls("TLS", "CA"));
    isRefused("TLS, another authority is refused", tls("TLS", "OTHER_CA"));
    comesIn("mTLS", tls("MTLS", "CA", "ssl.keystore.type", "PEM", "ssl.keystore.location", env("PAIR")));
    isRefused("mTLS, no certificate is refused", tls("MTLS", "CA"));
    Map<String, Object> plain = login(tls("SASL_TLS", "CA"), "PLAIN", password);
    Map<String, Object> scram = login(tls("SASL_TLS", "CA"), "SCRAM-SHA-512", password);
    plain.put("security.protocol", "SASL_SSL");
    scram.put("security.protocol", "SASL_SSL");
    comesIn("SASL PLAIN over TLS", plain);
    Interop.check("SASL SCRAM-SHA-512 over TLS", () -> roundTrip("SASL SCRAM-SHA-512 over TLS", scram));
  }
}
