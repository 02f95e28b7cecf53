import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

// mongo-java-server on a port that the kernel gives; prints the port. Its own main program knows 27017 only.
public class JavaMongoServer {
  public static void main(String[] arguments) {
    MongoServer server = new MongoServer(new MemoryBackend());
    System.out.println(server.bind().getPort());
  }
}
